#!/bin/sh
# Fills a folder with everything of Debian that the virtual machine is made of. Nothing is installed, the system's own APT
# state is not touched, and nothing of what the system happens to have installed is relied on but apt-get, dpkg and tar.
#
#   usage: packages.sh OUT      OUT: an empty folder, which gets
#     root/      QEMU, a C compiler, make, busybox, lspci, strace, all libraries that they need, and a kernel, unpacked
#     source/    of that kernel: what the VFIO modules are rebuilt from
#     release    the kernel's release, as uname -r has it
#     versions   each package with its version
#   exit:  0, or 1 with one line on stderr
set -eu

fail() {
  echo "packages: $1" >&2
  exit 1
}
out=$1
. "$(dirname "$0")/../../../scripts/private-apt.sh"

[ "$(debian_codename)" = bookworm ] || fail "this is not Debian 12 (bookworm), whose packages the machine is made of"
[ "$(uname -m)" = x86_64 ] || fail "this is no x86-64 machine: the guest runs the Bun of this one"
work=$(mktemp -d "$out/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

apt() {
  command=$1
  shift
  private_apt "$work" "$command" -o Dir::State::status="$work/nothing-installed" -o APT::Install-Recommends=0 \
    -o APT::Default-Release=bookworm-backports "$@" 2>>"$work/log" || { cat "$work/log" >&2 && return 1; }
}

: >"$work/nothing-installed"
private_apt_sources "$work" bookworm bookworm-backports || fail "no APT source of Debian bookworm was found"
apt apt-get update >>"$work/log" || fail "apt-get could not update its lists"

# The newest kernel whose source is there too. Its name holds its version: the package of that name has no fixed one.
series=6.12
version=$(apt apt-cache show --no-all-versions "linux-source-$series" | sed -n 's/^Version: //p')
release=$(apt apt-cache pkgnames "linux-image-$series." | sed -n 's/^linux-image-\([^-]*-amd64\)$/\1/p' |
  while read -r one; do
    [ "$(apt apt-cache show --no-all-versions "linux-image-$one" | sed -n 's/^Version: //p')" != "$version" ] || echo "$one"
  done | head -n 1)
[ -n "$release" ] || fail "no kernel $series has the version of its source, ${version:-which is not there}"

apt apt-get install --yes --download-only qemu-system-x86 gcc-12 make xz-utils libelf1 kmod busybox-static pciutils strace \
  dash coreutils diffutils findutils grep mawk sed >>"$work/log" || fail "apt-get could not download the tools"
(
  mkdir "$work/kernel"
  cd "$work/kernel"
  apt apt-get download "linux-image-$release" "linux-headers-$release" "linux-headers-${release%-amd64}-common" \
    "linux-kbuild-${release%-amd64}" "linux-source-$series" >>"$work/log"
) || fail "apt-get could not download kernel $release"

mkdir "$out/root" "$out/source"
for package in "$work"/archives/*.deb "$work"/kernel/*.deb; do
  dpkg -x "$package" "$out/root" || fail "dpkg could not unpack ${package##*/}"
  dpkg-deb --show "$package" >>"$out/versions"
done
# No package's script ran: these are what some of them would have made.
ln -s mawk "$out/root/usr/bin/awk"
mkdir -p "$out/root/dev"
mknod -m 666 "$out/root/dev/null" c 1 3 || fail "$out/root/dev/null could not be made: is this root?"
chroot "$out/root" /sbin/depmod "$release" || fail "depmod did not work"

chroot "$out/root" xz --decompress --stdout "/usr/src/linux-source-$series.tar.xz" |
  tar -x -C "$out/source" --strip-components=1 "linux-source-$series/drivers/vfio" "linux-source-$series/drivers/iommu" \
    "linux-source-$series/lib/interval_tree.c" || fail "the kernel's source could not be unpacked"
rm "$out/root/usr/src/linux-source-$series.tar.xz"
echo "$release" >"$out/release"
