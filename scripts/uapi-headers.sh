#!/bin/sh
# Prints a folder of kernel uapi headers (linux/vfio.h, linux/iommufd.h, linux/kvm.h) newer than Debian stable's own.
#
# Debian's `linux-libc-dev` from the backports suite is downloaded and unpacked, never installed, below
# ${XDG_CACHE_HOME:-~/.cache}/bun-vfio. Where to download from is derived from this system's own APT sources:
# the suite's name is replaced, mirrors and keys stay. Needs apt-get and dpkg; no root.
#
#   usage: uapi-headers.sh            download if needed, print the include folder
#          uapi-headers.sh --cached   print it only if it is there already; no network
#   exit:  0 printed, 1 not to be had (one line on stderr says why), 2 wrong usage
set -eu

fail() {
  echo "uapi-headers: $1" >&2
  exit 1
}

case "${1-}" in
"" | --cached) ;;
*)
  echo "usage: uapi-headers.sh [--cached]" >&2
  exit 2
  ;;
esac

cache="${XDG_CACHE_HOME:-${HOME:?}/.cache}/bun-vfio/uapi-headers"
include="$cache/include"
if [ -f "$include/linux/iommufd.h" ]; then
  echo "$include"
  exit 0
fi
[ "${1-}" != --cached ] || fail "no headers in $cache: run scripts/uapi-headers.sh once"
command -v apt-get >/dev/null || fail "apt-get is not installed: the headers come from a Debian package"
command -v dpkg >/dev/null || fail "dpkg is not installed: it unpacks the headers"
. "$(dirname "$0")/private-apt.sh"
codename=$(debian_codename) || fail "this system is not Debian: the headers come from its backports suite"

mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/tree"
private_apt_sources "$work" "$codename-backports" ||
  fail "no APT source of Debian $codename was found: cannot derive its backports"
# Another vendor's source of the same suite name has no backports: the update then complains, the download decides.
private_apt "$work" apt-get update >>"$work/log" 2>&1 || true
(cd "$work" && private_apt "$work" apt-get download "linux-libc-dev/$codename-backports" >>"$work/log" 2>&1) || {
  cat "$work/log" >&2
  fail "apt-get could not download linux-libc-dev from $codename-backports"
}
dpkg -x "$work"/linux-libc-dev_*.deb "$work/tree" || fail "dpkg could not unpack linux-libc-dev"
[ -f "$work/tree/usr/include/linux/iommufd.h" ] || fail "linux-libc-dev from $codename-backports has no linux/iommufd.h"

# asm/ lies in a folder of the architecture's own, as links into the rest of the package: copied, it stands alone.
case "$(uname -m)" in
i?86) machine=i386 ;;
ppc64le) machine=powerpc64le ;;
*) machine=$(uname -m) ;;
esac
asm="$work/tree/usr/include/$machine-linux-gnu/asm"
[ -d "$asm" ] || fail "linux-libc-dev has no asm/ folder for $machine"
rm -rf "$work/tree/usr/include/asm"
cp -RL "$asm" "$work/tree/usr/include/asm"
rm -rf "$work/tree/usr/include/"*-linux-gnu*

# Renamed into place whole: whoever looks meanwhile sees all of it or nothing. Losing a race to another run is fine.
mv -T "$work/tree/usr/include" "$include" 2>/dev/null || [ -f "$include/linux/iommufd.h" ] || fail "cannot write $include"
echo "$include"
