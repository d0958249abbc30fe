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
codename=$(. /etc/os-release && [ "${ID-}" = debian ] && echo "${VERSION_CODENAME-}") ||
  fail "this system is not Debian: the headers come from its backports suite"
[ -n "$codename" ] || fail "/etc/os-release names no codename: which backports suite to use is unknown"

mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir -p "$work/sources" "$work/lists/partial" "$work/archives/partial" "$work/tree"

# Only the entries of Debian's main suite are taken, with that suite's name replaced; both formats of APT sources.
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -f "$file" ] || continue
  awk -v suite="$codename" '
    $1 == "deb" {
      options = 2
      if ($2 ~ /^\[/) { while ($options !~ /\]$/ && options < NF) options++; options++ }
      if ($(options + 1) == suite) { $(options + 1) = suite "-backports"; print }
    }' "$file" >>"$work/sources/one-line.list"
done
for file in /etc/apt/sources.list.d/*.sources; do
  [ -f "$file" ] || continue
  awk -v suite="$codename" '
    BEGIN { RS = ""; FS = "\n"; OFS = "\n"; ORS = "\n\n" }
    {
      found = 0
      for (i = 1; i <= NF; i++)
        if (tolower($i) ~ /^suites:/) {
          count = split($i, words, /[ \t]+/)
          for (w = 2; w <= count; w++) if (words[w] == suite) found = 1
          $i = "Suites: " suite "-backports"
        }
      if (found) print
    }' "$file" >>"$work/sources/stanzas.sources"
done
grep -q backports "$work"/sources/* 2>/dev/null || fail "no APT source of Debian $codename was found: cannot derive its backports"

# A private view of APT: nothing of the system's lists, cache or state is read or changed.
private_apt() {
  apt-get -q -q \
    -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/sources" \
    -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work" \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
    -o Acquire::Languages=none -o APT::Sandbox::User= -o Debug::NoLocking=1 "$@" >>"$work/log" 2>&1
}
# Another vendor's source of the same suite name has no backports: the update then complains, the download decides.
private_apt update || true
(cd "$work" && private_apt download "linux-libc-dev/$codename-backports") || {
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
