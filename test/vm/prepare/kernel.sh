#!/bin/sh
# Fills a folder with the kernel that a suite of Debian has now.
#
#   usage: kernel.sh TOOLS SUITE FLAVOUR OUT    TOOLS: what tools.sh filled; FLAVOUR: amd64, arm64, arm64-16k; OUT: an empty folder
#     OUT/root/      its modules, and, but for bookworm's, its headers
#     OUT/source/    but for bookworm's: what the VFIO modules are rebuilt from
#     OUT/vmlinuz    OUT/release, as uname -r has it    OUT/versions, each package with its version
#   exit:  0, or 1 with one line on stderr
set -eu

tools=$1 suite=$2 flavour=$3 out=$4
. "$(dirname "$0")/view.sh"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

open_view "$work" "${flavour%%-*}" "$suite"
# field PACKAGE NAME: of what the suite has of a package
field() { apt apt-cache show --no-all-versions "$1" | sed -n "s/^$2: //p" | head -n 1; }

# The package that always depends on the newest: its name is a kernel's without the version.
release=$(field "linux-image-$flavour" Depends | sed -n "s/.*linux-image-\([^ ]*-$flavour\).*/\1/p")
[ -n "$release" ] || fail "$suite has no kernel $flavour"
# From 7.x on the kernel lies in several packages.
names=$(for name in image binary modules base; do apt apt-cache pkgnames "linux-$name-$release" | grep -x "linux-$name-$release" || true; done)
if [ "$suite" != bookworm ]; then
  number=${release%"-$flavour"}
  source=linux-source-$(echo "$release" | cut -d. -f1,2)
  [ "$(field "$source" Version)" = "$(field "linux-image-$release" Version | sed 's/+b[0-9]*$//')" ] ||
    fail "$suite has no source of kernel $release"
  names="$names linux-headers-$release linux-headers-$number-common linux-kbuild-$number:amd64 $source"
fi
mkdir "$work/packages"
# shellcheck disable=SC2086
(cd "$work/packages" && apt apt-get download $names >>"$work/log") || fail "apt-get could not download kernel $release"
unpack "$out/root" "$out/versions" "$work"/packages/*.deb
for kernel in "$out/root/boot/vmlinuz-$release" "$out/root/lib/modules/$release/vmlinuz"; do
  [ ! -e "$kernel" ] || ln "$kernel" "$out/vmlinuz"
done
run_tool "$tools" depmod -b "$out/root" "$release" || fail "depmod did not work"

if [ "$suite" != bookworm ]; then
  mkdir "$out/source"
  archive=$out/root/usr/src/$source.tar.xz
  "$tools/root/usr/bin/busybox" xz -dc "$archive" | tar -x -C "$out/source" --strip-components=1 "$source/drivers/vfio" "$source/drivers/iommu" \
    "$source/lib/interval_tree.c" "$source/samples/vfio-mdev" || fail "the kernel's source could not be unpacked"
  rm "$archive"
fi
echo "$release" >"$out/release"
