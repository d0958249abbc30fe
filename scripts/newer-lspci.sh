#!/bin/sh
# Prints the command that runs an lspci newer than Debian stable's own: pciutils 3.13 of Debian 13 (trixie), a second oracle
# for the register maps.
#
# Its packages are downloaded and unpacked, never installed, below ${XDG_CACHE_HOME:-~/.cache}/bun-vfio, with the C library
# that it wants. Where to download from is derived from this system's own APT sources: the suite's name is replaced, mirrors
# and keys stay. Needs apt-get and dpkg; no root.
#
#   usage: newer-lspci.sh            download if needed, print the command's words, one a line
#          newer-lspci.sh --cached   print them only if it is there already; no network
#   exit:  0 printed, 1 not to be had (one line on stderr says why), 2 wrong usage
set -eu

fail() {
  echo "newer-lspci: $1" >&2
  exit 1
}

case "${1-}" in
"" | --cached) ;;
*)
  echo "usage: newer-lspci.sh [--cached]" >&2
  exit 2
  ;;
esac

suite=trixie
packages="pciutils libpci3 libkmod2 libudev1 libc6 zlib1g libzstd1 liblzma5 libssl3t64 libcap2"
cache="${XDG_CACHE_HOME:-${HOME:?}/.cache}/bun-vfio/lspci-$suite"

# Debian's own loader and libraries, so that neither the system's age nor its architecture's name matters.
print_command() {
  libraries=$(dirname "$(ls "$cache"/usr/lib/*/libpci.so.3)")
  set -- "$libraries"/ld-linux-*.so.*
  printf '%s\n' "$1" --library-path "$libraries" "$cache/usr/bin/lspci"
}

if [ -x "$cache/usr/bin/lspci" ]; then
  print_command
  exit 0
fi
[ "${1-}" != --cached ] || fail "not in $cache: run scripts/newer-lspci.sh once"
command -v apt-get >/dev/null || fail "apt-get is not installed: lspci comes from a Debian package"
command -v dpkg >/dev/null || fail "dpkg is not installed: it unpacks the package"
. "$(dirname "$0")/private-apt.sh"
codename=$(debian_codename) || fail "this system is not Debian: lspci comes from its suite $suite"

mkdir -p "$(dirname "$cache")"
work=$(mktemp -d "$cache.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/tree"
private_apt_sources "$work" "$suite" || fail "no APT source of Debian $codename was found: cannot derive that of $suite"
private_apt "$work" apt-get update >>"$work/log" 2>&1 || true
wanted=
for package in $packages; do wanted="$wanted $package/$suite"; done
# shellcheck disable=SC2086
(cd "$work" && private_apt "$work" apt-get download $wanted >>"$work/log" 2>&1) || {
  cat "$work/log" >&2
  fail "apt-get could not download pciutils from $suite"
}
for package in "$work"/*.deb; do
  dpkg -x "$package" "$work/tree" || fail "dpkg could not unpack $package"
done
[ -x "$work/tree/usr/bin/lspci" ] || fail "pciutils of $suite has no usr/bin/lspci"
# Renamed into place whole: whoever looks meanwhile sees all of it or nothing. Losing a race to another run is fine.
mv -T "$work/tree" "$cache" 2>/dev/null || [ -x "$cache/usr/bin/lspci" ] || fail "cannot write $cache"
print_command
