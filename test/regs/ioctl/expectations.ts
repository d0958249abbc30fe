// What does not come from headers: sizes, and since which kernel a struct or a constant is as declared here.

/** As major * 1000 + minor: 6.12 is 6012. */
const since = (release: string): number => {
  const [major, minor] = release.split(".").map(Number);
  return major! * 1000 + minor!;
};

/** Bytes of every struct of VFIO and iommufd, without a flexible tail: the kernel's ABI, by its field lists. */
export const sizes: Readonly<Record<string, number>> = {
  vfio_bitmap: 24,
  vfio_group_status: 8,
  vfio_device_info: 24,
  vfio_info_cap_header: 8,
  vfio_region_info: 32,
  vfio_region_sparse_mmap_area: 16,
  vfio_region_info_cap_sparse_mmap: 16,
  vfio_region_info_cap_type: 16,
  vfio_region_info_cap_nvlink2_ssatgt: 16,
  vfio_region_info_cap_nvlink2_lnkspd: 16,
  vfio_region_gfx_edid: 24,
  vfio_irq_info: 16,
  vfio_irq_set: 20,
  vfio_pci_dependent_device: 8,
  vfio_pci_hot_reset_info: 12,
  vfio_pci_hot_reset: 12,
  vfio_device_gfx_plane_info: 64,
  vfio_device_ioeventfd: 32,
  vfio_device_feature: 8,
  vfio_device_bind_iommufd: 24,
  vfio_device_attach_iommufd_pt: 16,
  vfio_device_detach_iommufd_pt: 12,
  vfio_device_feature_migration: 8,
  vfio_device_feature_mig_state: 8,
  vfio_precopy_info: 24,
  vfio_device_feature_mig_data_size: 8,
  vfio_device_low_power_entry_with_wakeup: 8,
  vfio_device_feature_dma_logging_control: 24,
  vfio_device_feature_dma_logging_range: 16,
  vfio_device_feature_dma_logging_report: 32,
  vfio_device_feature_bus_master: 4,
  vfio_device_info_cap_pci_atomic_comp: 16,
  vfio_iommu_type1_info: 24,
  vfio_iova_range: 16,
  vfio_iommu_type1_info_cap_iova_range: 16,
  vfio_iommu_type1_info_cap_migration: 32,
  vfio_iommu_type1_info_dma_avail: 12,
  vfio_iommu_type1_dma_map: 32,
  vfio_iommu_type1_dma_unmap: 24,
  vfio_iommu_type1_dirty_bitmap: 8,
  vfio_iommu_type1_dirty_bitmap_get: 40,
  vfio_region_dma_range: 16,
  vfio_device_feature_dma_buf: 16,
  vfio_device_feature_zpci_err: 8,
  iommu_destroy: 8,
  iommu_ioas_alloc: 12,
  iommu_ioas_allow_iovas: 24,
  iommu_ioas_copy: 40,
  iommu_ioas_iova_ranges: 32,
  iommu_ioas_map: 40,
  iommu_ioas_unmap: 24,
  iommu_option: 24,
  iommu_vfio_ioas: 12,
  iommu_hwpt_alloc: 48,
  iommu_hw_info: 40,
  iommu_hwpt_set_dirty_tracking: 16,
  iommu_hwpt_get_dirty_bitmap: 48,
  iommu_hwpt_invalidate: 32,
  iommu_fault_alloc: 16,
  iommu_ioas_map_file: 40,
  iommu_viommu_alloc: 40,
  iommu_vdevice_alloc: 24,
  iommu_ioas_change_process: 8,
  iommu_ioas_noiommu_get_pa: 40,
  iommu_veventq_alloc: 32,
  iommu_hw_queue_alloc: 40,
  iommu_iova_range: 16,
  iommu_hwpt_vtd_s1: 24,
  iommu_hwpt_arm_smmuv3: 16,
  iommu_hw_info_vtd: 24,
  iommu_hw_info_arm_smmuv3: 40,
  iommu_hwpt_vtd_s1_invalidate: 24,
  iommu_viommu_arm_smmuv3_invalidate: 16,
  iommu_hwpt_pgfault: 40,
  iommu_hwpt_page_response: 8,
  iommufd_vevent_header: 8,
  iommu_vevent_arm_smmuv3: 32,
};

/** Structs that are as declared here only since a kernel later than 6.12, and their members as facts.ts writes them. */
const newStructs: Readonly<Record<string, readonly [kernel: number, layout: string]>> = {
  vfio_device_bind_iommufd: [
    since("6.18"),
    "0 argsz u32, 4 flags u32, 8 iommufd s32, 12 out_devid u32, 16 token_uuid_ptr u64",
  ],
  vfio_device_attach_iommufd_pt: [since("6.15"), "0 argsz u32, 4 flags u32, 8 pt_id u32, 12 pasid u32"],
  vfio_device_detach_iommufd_pt: [since("6.15"), "0 argsz u32, 4 flags u32, 8 pasid u32"],
  vfio_region_dma_range: [since("6.19"), "0 offset u64, 8 length u64"],
  vfio_device_feature_dma_buf: [
    since("6.19"),
    "0 region_index u32, 4 open_flags u32, 8 flags u32, 12 nr_ranges u32, 16 dma_ranges 0",
  ],
  vfio_device_feature_zpci_err: [since("7.3"), "0 data u64"],
  iommu_ioas_map_file: [
    since("6.13"),
    "0 size u32, 4 flags u32, 8 ioas_id u32, 12 fd s32, 16 start u64, 24 length u64, 32 iova u64",
  ],
  iommu_hwpt_arm_smmuv3: [since("6.13"), "0 ste 16"],
  iommu_hw_info_arm_smmuv3: [
    since("6.13"),
    "0 flags u32, 4 __reserved u32, 8 idr 24, 32 iidr u32, 36 aidr u32",
  ],
  iommu_viommu_arm_smmuv3_invalidate: [since("6.13"), "0 cmd 16"],
  iommu_vdevice_alloc: [
    since("6.13"),
    "0 size u32, 4 viommu_id u32, 8 dev_id u32, 12 out_vdevice_id u32, 16 virt_id u64",
  ],
  iommu_ioas_change_process: [since("6.14"), "0 size u32, 4 __reserved u32"],
  iommu_veventq_alloc: [
    since("6.15"),
    "0 size u32, 4 flags u32, 8 viommu_id u32, 12 type u32, 16 veventq_depth u32, 20 out_veventq_id u32, 24 out_veventq_fd u32, 28 __reserved u32",
  ],
  iommufd_vevent_header: [since("6.15"), "0 flags u32, 4 sequence u32"],
  iommu_vevent_arm_smmuv3: [since("6.15"), "0 evt 32"],
  iommu_viommu_alloc: [
    since("6.17"),
    "0 size u32, 4 flags u32, 8 type u32, 12 dev_id u32, 16 hwpt_id u32, 20 out_viommu_id u32, 24 data_len u32, 28 __reserved u32, 32 data_uptr u64",
  ],
  iommu_hw_queue_alloc: [
    since("6.17"),
    "0 size u32, 4 flags u32, 8 viommu_id u32, 12 type u32, 16 index u32, 20 out_hw_queue_id u32, 24 nesting_parent_iova u64, 32 length u64",
  ],
  iommu_hw_info: [
    since("6.17"),
    "0 size u32, 4 flags u32, 8 dev_id u32, 12 data_len u32, 16 data_uptr u64, 24 out_data_type u32, 24 in_data_type u32, 28 out_max_pasid_log2 u8, 29 __reserved 3, 32 out_capabilities u64",
  ],
  iommu_ioas_noiommu_get_pa: [
    since("7.3"),
    "0 size u32, 4 flags u32, 8 ioas_id u32, 12 __reserved u32, 16 iova u64, 24 length u64, 32 out_phys u64",
  ],
};

/** Constants newer than 6.12: the kernel since which they are there, and their value. */
const newConstants: Readonly<Record<string, readonly [kernel: number, value: number]>> = {
  VFIO_DEVICE_BIND_FLAG_TOKEN: [since("6.18"), 1],
  VFIO_DEVICE_ATTACH_PASID: [since("6.15"), 1],
  VFIO_DEVICE_DETACH_PASID: [since("6.15"), 1],
  VFIO_DEVICE_FEATURE_DMA_BUF: [since("6.19"), 11],
  VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2: [since("7.1"), 12],
  VFIO_DEVICE_FEATURE_ZPCI_ERROR: [since("7.3"), 13],
  VFIO_PRECOPY_INFO_REINIT: [since("7.1"), 1],
  IOMMU_HWPT_ALLOC_PASID: [since("6.15"), 8],
  IOMMU_HWPT_DATA_ARM_SMMUV3: [since("6.13"), 2],
  IOMMU_HW_INFO_FLAG_INPUT_TYPE: [since("6.17"), 1],
  IOMMU_HW_INFO_TYPE_ARM_SMMUV3: [since("6.13"), 2],
  IOMMU_HW_QUEUE_TYPE_DEFAULT: [since("6.17"), 0],
  IOMMU_VEVENTQ_FLAG_LOST_EVENTS: [since("6.15"), 1],
  IOMMU_VEVENTQ_TYPE_DEFAULT: [since("6.15"), 0],
  IOMMU_VEVENTQ_TYPE_ARM_SMMUV3: [since("6.15"), 1],
  IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: [since("6.13"), 1],
  IOMMU_VIOMMU_TYPE_DEFAULT: [since("6.13"), 0],
  IOMMU_VIOMMU_TYPE_ARM_SMMUV3: [since("6.13"), 1],
  IOMMU_IOAS_MAP_FILE: [since("6.13"), 0x3b8f],
  IOMMU_VIOMMU_ALLOC: [since("6.13"), 0x3b90],
  IOMMU_VDEVICE_ALLOC: [since("6.13"), 0x3b91],
  IOMMU_IOAS_CHANGE_PROCESS: [since("6.14"), 0x3b92],
  IOMMU_VEVENTQ_ALLOC: [since("6.15"), 0x3b93],
  IOMMU_HW_QUEUE_ALLOC: [since("6.17"), 0x3b94],
  IOMMU_IOAS_NOIOMMU_GET_PA: [since("7.3"), 0x3b95],
};

/** The oldest headers that the check takes: all that is not named here is in them, as declared. */
export const oldestHeaders = since("6.12");

/** The kernel since which a struct or constant is as declared here, as major * 1000 + minor. */
export const kernelOf = (name: string): number =>
  newStructs[name]?.[0] ?? newConstants[name]?.[0] ?? oldestHeaders;

/** The members of a struct that is newer than the headers. */
export const newStructLayout = (name: string): string | undefined => newStructs[name]?.[1];

/** What a constant that is newer than the headers must be. */
export const newConstantValue = (name: string): number | undefined => newConstants[name]?.[1];

/** Padding that C leaves between members, and the part of kvm_run's union that no member declared here reaches. */
export const padding: Readonly<Record<string, readonly string[]>> = {
  vfio_iommu_type1_info_cap_migration: ["12+4"],
  kvm_run: ["168+120"],
  "kvm_run.fail_entry": ["12+4"],
  "kvm_run.mmio": ["21+3"],
};
