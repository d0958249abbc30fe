#!/bin/sh
# Rebuilds the VFIO modules of Debian's kernel from its own source, with what Debian leaves out: iommufd, the device nodes
# /dev/vfio/devices/*, and VFIO without an IOMMU.
#
#   usage: modules.sh PACKAGES OUT      PACKAGES: what packages.sh filled; OUT: an empty folder, which gets the *.ko
#   exit:  0, or 1 with the end of make's output on stderr
set -eu

packages=$1
out=$2
source=$packages/source
release=$(cat "$packages/release")
build=$(mktemp -d "$packages/root/build.XXXXXX")
trap 'rm -rf "$build"' EXIT
trap 'exit 1' HUP INT TERM

vfio="vfio_main group container device_cdev virqfd vfio_iommu_type1"
pci="vfio_pci_core vfio_pci_intrs vfio_pci_rdwr vfio_pci_config vfio_pci vfio_pci_igd"
iommufd="device fault hw_pagetable io_pagetable ioas main pages vfio_compat iova_bitmap"

# copy FOLDER TO NAME...: C files of a folder of the source, and its headers
copy() {
  folder=$1
  to=$2
  shift 2
  mkdir -p "$to"
  for name in "$@"; do cp "$source/$folder/$name.c" "$to/"; done
  cp "$source/$folder"/*.h "$to/"
}
# shellcheck disable=SC2086
{
  copy drivers/vfio "$build" $vfio
  copy drivers/vfio/pci "$build/pci" $pci
  copy drivers/iommu/iommufd "$build/iommufd" $iommufd
}
# One of VFIO's files has the name of a module.
cp "$source/drivers/vfio/iommufd.c" "$build/vfio_iommufd.c"
cp "$source/drivers/iommu/iommu-priv.h" "$build/"
sed -i 's|"\.\./iommu-priv\.h"|"iommu-priv.h"|' "$build"/iommufd/*.[ch]
# A part of lib/ that iommufd alone needs, and that Debian's kernel therefore lacks.
{
  printf '#include <linux/%s>\n' interval_tree.h interval_tree_generic.h compiler.h export.h
  sed -n '/#ifdef CONFIG_INTERVAL_TREE_SPAN_ITER/,/#endif/p' "$source/lib/interval_tree.c" | grep -v EXPORT_SYMBOL
} >"$build/iommufd/span_iter.c"

objects() {
  prefix=$1
  shift
  printf "$prefix%s.o " "$@"
}
# shellcheck disable=SC2086
cat >"$build/Kbuild" <<END
ccflags-y := -I\$(src) -I\$(src)/pci -I\$(src)/iommufd -DCONFIG_IOMMUFD_MODULE=1 -DCONFIG_IOMMUFD_DRIVER=1 \\
  -DCONFIG_VFIO_DEVICE_CDEV=1 -DCONFIG_VFIO_NOIOMMU=1 -DCONFIG_INTERVAL_TREE_SPAN_ITER=1
obj-m := vfio.o vfio_iommu_type1.o vfio-pci-core.o vfio-pci.o iommufd.o
vfio-y := vfio_main.o group.o container.o vfio_iommufd.o device_cdev.o virqfd.o
vfio-pci-core-y := pci/vfio_pci_core.o pci/vfio_pci_intrs.o pci/vfio_pci_rdwr.o pci/vfio_pci_config.o
vfio-pci-y := pci/vfio_pci.o pci/vfio_pci_igd.o
iommufd-y := $(objects iommufd/ $iommufd) iommufd/span_iter.o
END

inside=/${build##*/}
chroot "$packages/root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/ make -j"$(nproc)" \
  -C "/usr/src/linux-headers-$release" M="$inside" CONFIG_DEBUG_INFO_BTF_MODULES= modules >"$build/log" 2>&1 || {
  tail -n 20 "$build/log" >&2
  echo "modules: the VFIO modules of kernel $release could not be built" >&2
  exit 1
}
for module in vfio vfio_iommu_type1 vfio-pci-core vfio-pci iommufd; do
  chroot "$packages/root" strip --strip-debug "$inside/$module.ko"
  cp "$build/$module.ko" "$out/"
done
