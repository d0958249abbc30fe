#!/bin/sh
# Builds the guest's initramfs: busybox, Bun, lspci and strace with their libraries, the modules that it needs to start, and
# guest-init.sh as its first program.
#
#   usage: image.sh TOOLS PROGRAMS KERNEL MODULES BUN MUSL OUT
#            TOOLS, KERNEL, MODULES: what those scripts filled; PROGRAMS: a root with the guest's programs; BUN: the Bun to run in it;
#            MUSL: what musl.sh filled, where that Bun is musl's, or nothing; OUT: an empty folder
#   exit:  0 and OUT/initramfs.cpio, or 1
set -eu

tools=$1 root=$2 kernel=$3 modules=$4 bun=$5 musl=$6 out=$7
. "$(dirname "$0")/view.sh"
release=$(cat "$kernel/release")
busybox=$tools/root/usr/bin/busybox
image=$(mktemp -d "$out/image.XXXXXX")
trap 'rm -rf "$image"' EXIT
trap 'exit 1' HUP INT TERM

case $release in
*-amd64) triplet=x86_64-linux-gnu loader=lib64/ld-linux-x86-64.so.2 ;;
*) triplet=aarch64-linux-gnu loader=lib/ld-linux-aarch64.so.1 ;;
esac
for folder in bin dev etc lib/modules lib64 modules out proc root run src sys tmp "lib/$triplet" usr/share/misc; do mkdir -p "$image/$folder"; done
cp "$root/usr/bin/busybox" "$image/bin/"
for applet in $("$busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$image/bin/$applet"; done
cp -L "$root/usr/$loader" "$image/$loader"

# add_libraries PROGRAM: the libraries that it names, and those that they name
add_libraries() {
  run_tool "$tools" x86_64-linux-gnu-readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | while read -r library; do
    [ ! -e "$image/lib/$triplet/$library" ] || continue
    [ -e "$root/usr/lib/$triplet/$library" ] || continue
    cp -L "$root/usr/lib/$triplet/$library" "$image/lib/$triplet/"
    add_libraries "$root/usr/lib/$triplet/$library"
  done
}
# add PROGRAM NAME
add() {
  rm -f "$image/bin/$2"
  cp -L "$1" "$image/bin/$2"
  add_libraries "$1"
}
add "$bun" bun
[ -z "$musl" ] || cp "$musl"/lib/* "$image/lib/"
for program in lspci setpci strace; do add "$root/usr/bin/$program" "$program"; done
cp "$root/usr/share/misc/pci.ids" "$image/usr/share/misc/"

# In the order in which they are loaded: those that were rebuilt, or the kernel's own with what they need. What it has built in, or
# has not, is left out. What else a test wants it gets by modprobe, once 9p works.
number=10
put() { # put FILE: unless it is there
  name=$(basename "$1")
  name=${name%%.ko*}
  for there in "$image"/modules/*-"$name.ko"; do [ ! -e "$there" ] || return 0; done
  to=$image/modules/$number-$name.ko
  number=$((number + 1))
  case $1 in *.xz) "$busybox" xz -dc "$1" >"$to" ;; *) cp "$1" "$to" ;; esac
}
for module in virtio_pci virtio-iommu netfs 9pnet 9pnet_virtio 9p irqbypass iommufd vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci; do
  if [ -e "$modules/$module.ko" ]; then
    put "$modules/$module.ko"
    continue
  fi
  needed=$(run_tool "$tools" modprobe -d "$kernel/root" -S "$release" --show-depends "$module" 2>/dev/null | sed -n 's/^insmod \([^ ]*\).*/\1/p')
  for file in $needed; do put "$file"; done
done
# Samples, which a test loads itself, and what the first program loads once there is KVM.
mkdir "$image/modules/samples" "$image/modules/kvm"
for module in mdev mtty; do [ ! -e "$modules/$module.ko" ] || cp "$modules/$module.ko" "$image/modules/samples/"; done
[ ! -e "$modules/inject-once.ko" ] || cp "$modules/inject-once.ko" "$image/modules/kvm/"

echo 'root:x:0:0:root:/root:/bin/sh' >"$image/etc/passwd"
# The tests that a host's configuration keeps from running there are those that run here.
printf '[test]\ncoverageSkipTestFiles = true\n' >"$image/etc/bunfig.toml"
cp "$(dirname "$0")/guest-init.sh" "$image/init"
chmod +x "$image/init"
(cd "$image" && find . | "$busybox" cpio -o -H newc 2>/dev/null) >"$out/initramfs.cpio"
