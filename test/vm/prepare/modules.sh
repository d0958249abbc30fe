#!/bin/sh
# Rebuilds the VFIO modules of a kernel of Debian's from its own source, with what Debian leaves out: iommufd, the device nodes
# /dev/vfio/devices/*, VFIO without an IOMMU, and the samples of mediated devices. What a kernel does not have is not built. Besides
# inject-once.c, where KVM is AMD's.
#
#   usage: modules.sh TOOLS KERNEL OUT    what tools.sh and kernel.sh filled, and an empty folder, which gets the *.ko
#   exit:  0, or 1 with the end of make's output on stderr
set -eu

tools=$1 kernel=$2 out=$3
source=$kernel/source
release=$(cat "$kernel/release")
# A root of its own, of names for what is there: neither the tools nor the kernel are written to.
root=$(mktemp -d "$out/root.XXXXXX")
trap 'rm -rf "$root"' EXIT
trap 'exit 1' HUP INT TERM
cp -al "$tools/root/." "$kernel/root/." "$root/"
build=$root/build
case $release in
*-amd64) make="ARCH=x86" strip=strip ;;
*) make="ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-" strip=aarch64-linux-gnu-strip ;;
esac

# copy FOLDER TO NAME...: those C files of a folder of the source that there are, and its headers
copy() {
  from=$source/$1
  to=$2
  shift 2
  mkdir -p "$to"
  for name in "$@"; do [ ! -e "$from/$name.c" ] || cp "$from/$name.c" "$to/"; done
  for header in "$from"/*.h; do [ ! -e "$header" ] || cp "$header" "$to/"; done
}
copy drivers/vfio "$build" vfio_main group container device_cdev virqfd vfio_iommu_type1
copy drivers/vfio/pci "$build/pci" vfio_pci_core vfio_pci_intrs vfio_pci_rdwr vfio_pci_config vfio_pci_dmabuf vfio_pci
copy drivers/iommu/iommufd "$build/iommufd" device driver eventq fault hw_pagetable hwpt_noiommu io_pagetable ioas main pages \
  vfio_compat viommu iova_bitmap
copy drivers/vfio/mdev "$build/mdev" mdev_core mdev_driver mdev_sysfs
copy samples/vfio-mdev "$build" mtty
once=
case $release in
*-amd64)
  copy drivers/vfio/pci "$build/pci" vfio_pci_igd
  cp "$(dirname "$0")/inject-once.c" "$build/"
  once="inject-once"
  ;;
esac
# One of VFIO's files has the name of a module.
cp "$source/drivers/vfio/iommufd.c" "$build/vfio_iommufd.c"
for header in iommu-priv iommu-pages; do [ ! -e "$source/drivers/iommu/$header.h" ] || cp "$source/drivers/iommu/$header.h" "$build/"; done
sed -i 's|"\.\./iommu-\(p[a-z]*\)\.h"|"iommu-\1.h"|' "$build"/iommufd/*.[ch]
# A part of lib/ that iommufd alone needs, and that Debian's kernel therefore lacks.
{
  printf '#include <linux/%s>\n' interval_tree.h interval_tree_generic.h compiler.h export.h
  sed -n '/#ifdef CONFIG_INTERVAL_TREE_SPAN_ITER/,/#endif/p' "$source/lib/interval_tree.c" | grep -v EXPORT_SYMBOL
} >"$build/iommufd/span_iter.c"

flags=
table=
case $release in
*-arm64*)
  # The kernel itself has no iommufd_sw_msi, which maps the doorbell of the ITS: what the DMA API has for that takes its place.
  # Nothing of the domain then leads back to iommufd, which nested domains and page faults alone need.
  sed -i 's|^\t*hwpt->domain->iommufd_hwpt = hwpt;$|rc = iommu_get_msi_cookie(hwpt->domain, 0x8000000); if (rc) goto out_abort;|; /hwpt->domain->cookie_type = IOMMU_COOKIE_IOMMUFD/d' \
    "$build/iommufd/hw_pagetable.c"
  # The format of page tables without an IOMMU is AMD's, which a kernel for this architecture does not have.
  cp -r "$source/drivers/iommu/generic_pt" "$build/"
  table=generic_pt/fmt/iommu_amdv1.o
  flags="-DCONFIG_GENERIC_PT=1 -DCONFIG_IOMMU_PT=1 -DCONFIG_IOMMU_PT_AMDV1=1"
  ;;
esac

# objects FOLDER: the objects of its C files
objects() { (cd "$build" && for file in "$1"/*.c; do printf '%s.o ' "${file%.c}"; done); }
cat >"$build/Kbuild" <<END
ccflags-y := -I\$(src) -I\$(src)/pci -I\$(src)/iommufd -DCONFIG_IOMMUFD_MODULE=1 -DCONFIG_IOMMUFD_DRIVER=1 \\
  -DCONFIG_IOMMUFD_DRIVER_CORE=1 -DCONFIG_IOMMUFD_NOIOMMU=1 -DCONFIG_VFIO_DEVICE_CDEV=1 -DCONFIG_VFIO_NOIOMMU=1 \\
  -DCONFIG_INTERVAL_TREE_SPAN_ITER=1 $flags
obj-m := vfio.o vfio_iommu_type1.o vfio-pci-core.o vfio-pci.o iommufd.o mdev.o mtty.o ${once:+$once.o}
vfio-y := vfio_main.o group.o container.o vfio_iommufd.o device_cdev.o virqfd.o
vfio-pci-core-y := $(objects pci | sed 's|pci/vfio_pci\.o||; s|pci/vfio_pci_igd\.o||')
vfio-pci-y := pci/vfio_pci.o $([ ! -e "$build/pci/vfio_pci_igd.c" ] || echo pci/vfio_pci_igd.o)
iommufd-y := $(objects iommufd) $table
mdev-y := $(objects mdev)
END

# shellcheck disable=SC2086
chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/ make -j"$(nproc)" $make \
  -C "/usr/src/linux-headers-$release" M=/build CONFIG_DEBUG_INFO_BTF_MODULES= CONFIG_RUST= modules >"$build/log" 2>&1 || {
  tail -n 20 "$build/log" >&2
  echo "modules: the VFIO modules of kernel $release could not be built" >&2
  exit 1
}
for module in vfio vfio_iommu_type1 vfio-pci-core vfio-pci iommufd mdev mtty $once; do
  chroot "$root" $strip --strip-debug "/build/$module.ko"
  cp "$build/$module.ko" "$out/"
done
