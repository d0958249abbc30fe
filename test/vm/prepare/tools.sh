#!/bin/sh
# Fills a folder with the programs that machines are run with, as Debian 13 has them. Nothing is installed, the system's own APT
# state is not touched, and nothing of what the system happens to have installed is relied on but apt-get, dpkg and tar.
#
#   usage: tools.sh OUT      OUT: an empty folder, which gets
#     root/      QEMU for both architectures, C compilers for both, make, busybox, lspci, strace, and all libraries that they need
#     versions   each package with its version
#   exit:  0, or 1 with one line on stderr
set -eu

out=$1
. "$(dirname "$0")/view.sh"

[ "$(uname -m)" = x86_64 ] || fail "this is no x86-64 machine, whose programs these are"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

open_view "$work" amd64 trixie-backports
apt apt-get install --yes --download-only qemu-system-x86 qemu-system-arm gcc-14 gcc-14-aarch64-linux-gnu make xz-utils zstd \
  libelf1t64 kmod busybox-static pciutils strace dash coreutils diffutils findutils grep mawk sed >>"$work/log" ||
  fail "apt-get could not download the tools"
unpack "$out/root" "$out/versions" "$work"/archives/*.deb

# No package's script ran: these are what some of them would have made.
ln -sf mawk "$out/root/usr/bin/awk"
ln -sf x86_64-linux-gnu-gcc-14 "$out/root/usr/bin/gcc"
ln -sf aarch64-linux-gnu-gcc-14 "$out/root/usr/bin/aarch64-linux-gnu-gcc"
mkdir -p "$out/root/dev"
mknod -m 666 "$out/root/dev/null" c 1 3 || fail "$out/root/dev/null could not be made: is this root?"
# objtool looks up there how big its stack is, and gives up where it cannot: any process's will do.
mkdir -p "$out/root/proc/self" "$out/root/tmp"
cat /proc/self/maps >"$out/root/proc/self/maps"
