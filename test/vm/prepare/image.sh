#!/bin/sh
# Builds the guest's initramfs: busybox, Bun, lspci and strace with their libraries, the modules that it needs to start, and
# guest-init.sh as its first program.
#
#   usage: image.sh PACKAGES MODULES BUN OUT      what packages.sh and modules.sh filled, the Bun to run, an empty folder
#   exit:  0 and OUT/initramfs.cpio, or 1
set -eu

packages=$1
modules=$2
bun=$3
out=$4
root=$packages/root
shipped=$root/lib/modules/$(cat "$packages/release")/kernel
image=$(mktemp -d "$out/image.XXXXXX")
trap 'rm -rf "$image"' EXIT
trap 'exit 1' HUP INT TERM

mkdir -p "$image/bin" "$image/lib64" "$image/lib/x86_64-linux-gnu" "$image/lib/modules" "$image/usr/share/misc" \
  "$image/modules" "$image/dev" "$image/proc" "$image/sys" "$image/run" "$image/tmp" "$image/root" "$image/etc" "$image/src" "$image/out"
cp "$root/bin/busybox" "$image/bin/"
for applet in $("$root/bin/busybox" --list); do [ "$applet" = busybox ] || ln -s busybox "$image/bin/$applet"; done

loader=$root/lib64/ld-linux-x86-64.so.2
cp -L "$loader" "$image/lib64/"
# add PROGRAM NAME: a program, and the libraries that it names
add() {
  rm -f "$image/bin/$2"
  cp -L "$1" "$image/bin/$2"
  "$loader" --library-path "$root/lib/x86_64-linux-gnu:$root/usr/lib/x86_64-linux-gnu" --list "$1" |
    sed -n 's|.* => \(.*/x86_64-linux-gnu/.*\) (.*|\1|p' | while read -r library; do
    cp -L "$library" "$image/lib/x86_64-linux-gnu/"
  done
}
add "$bun" bun
add "$root/usr/bin/lspci" lspci
add "$root/usr/bin/setpci" setpci
add "$root/usr/bin/strace" strace
cp "$root/usr/share/misc/pci.ids" "$image/usr/share/misc/"

# In the order in which they are loaded. What else a test wants it gets by modprobe, once 9p works.
number=10
for module in virtio-iommu netfs 9pnet 9pnet_virtio 9p irqbypass; do
  "$root/bin/busybox" xz -dc "$(find "$shipped" -name "$module.ko.xz")" >"$image/modules/$number-$module.ko"
  number=$((number + 1))
done
for module in iommufd vfio vfio_iommu_type1 vfio-pci-core vfio-pci; do
  cp "$modules/$module.ko" "$image/modules/$number-$module.ko"
  number=$((number + 1))
done

echo 'root:x:0:0:root:/root:/bin/sh' >"$image/etc/passwd"
# The tests that a host's configuration keeps from running there are those that run here.
printf '[test]\ncoverageSkipTestFiles = true\n' >"$image/etc/bunfig.toml"
cp "$(dirname "$0")/guest-init.sh" "$image/init"
chmod +x "$image/init"
(cd "$image" && find . | "$root/bin/busybox" cpio -o -H newc 2>/dev/null) >"$out/initramfs.cpio"
