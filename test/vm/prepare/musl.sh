#!/bin/sh
# Fills a folder with the C library musl, and with the C++ library that Bun needs over it. Debian has the first; the second is in
# wheels for musl, which bring their own: that of greenlet is small.
#
#   usage: musl.sh OUT      OUT: an empty folder, which gets lib/: what becomes part of a guest's /lib
#   exit:  0, or 1 with one line on stderr
set -eu

out=$1
. "$(dirname "$0")/view.sh"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

open_view "$work" amd64 trixie-backports
apt apt-get install --yes --download-only musl >>"$work/log" || fail "apt-get could not download musl"
unpack "$work/root" "$out/versions" "$work"/archives/*.deb

package=greenlet==3.5.6
pip download --quiet --no-deps --only-binary=:all: --platform musllinux_1_2_x86_64 --python-version 3.12 \
  --dest "$work/wheels" "$package" >>"$work/log" 2>&1 || fail "pip could not get $package for musl"
python3 -m zipfile -e "$work"/wheels/*.whl "$work/wheel" || fail "the wheel of $package cannot be read"

mkdir "$out/lib"
cp -L "$work/root/usr/lib/ld-musl-x86_64.so.1" "$out/lib/" 2>/dev/null || cp -L "$work/root/lib/ld-musl-x86_64.so.1" "$out/lib/"
# The wheel names them by their content; libstdc++ asks for libgcc_s by that name.
cp "$work"/wheel/greenlet.libs/libgcc_s-*.so.1 "$out/lib/"
cp "$work"/wheel/greenlet.libs/libstdc++-*.so.6.* "$out/lib/libstdc++.so.6"
