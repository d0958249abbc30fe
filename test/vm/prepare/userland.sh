#!/bin/sh
# Fills a folder with the programs that a guest of another architecture needs; those of this machine's own are the tools'.
#
#   usage: userland.sh ARCHITECTURE OUT      as Debian names it: arm64; OUT: an empty folder, which gets
#     root/      busybox, lspci, strace, a C compiler with the kernel's newest headers, and all libraries that they need
#     versions   each package with its version
#   exit:  0, or 1 with one line on stderr
set -eu

architecture=$1 out=$2
. "$(dirname "$0")/view.sh"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

open_view "$work" "$architecture" trixie-backports
# libc-bin has getconf; bash is what a test of a shell script runs.
apt apt-get install --yes --download-only busybox-static pciutils strace gcc-14 libc6-dev linux-libc-dev bash libc-bin >>"$work/log" ||
  fail "apt-get could not download the guest's programs"
unpack "$out/root" "$out/versions" "$work"/archives/*.deb
