// linux/iommufd.h: I/O address spaces. Every argument starts with its own `size` in bytes.
import { constants } from "./constants.ts";
import { Struct, type Fields } from "./struct.ts";

/** `struct iommu_destroy`, of DESTROY: any object by its id. */
export const IommuDestroy = new Struct("iommu_destroy").UInt32LE("size").UInt32LE("id").compile();
export type IommuDestroy = Fields<typeof IommuDestroy>;

/** `struct iommu_ioas_alloc`, of IOAS_ALLOC. */
export const IommuIoasAlloc = new Struct("iommu_ioas_alloc")
  .UInt32LE("size")
  .UInt32LE("flags") // 0
  .UInt32LE("out_ioas_id")
  .compile();
export type IommuIoasAlloc = Fields<typeof IommuIoasAlloc>;

/** `struct iommu_iova_range`: IOVA, both ends included. */
export const IommuIovaRange = new Struct("iommu_iova_range")
  .BigUInt64LE("start")
  .BigUInt64LE("last")
  .compile();
export type IommuIovaRange = Fields<typeof IommuIovaRange>;

/** `struct iommu_ioas_iova_ranges`, of IOAS_IOVA_RANGES. */
export const IommuIoasIovaRanges = new Struct("iommu_ioas_iova_ranges")
  .UInt32LE("size")
  .UInt32LE("ioas_id")
  .UInt32LE("num_iovas") // in: room in the array; out: how many there are (EMSGSIZE when more)
  .UInt32LE("__reserved")
  .BigUInt64LE("allowed_iovas") // address of an array of IommuIovaRange
  .BigUInt64LE("out_iova_alignment") // bytes
  .compile();
export type IommuIoasIovaRanges = Fields<typeof IommuIoasIovaRanges>;

/** `struct iommu_ioas_allow_iovas`, of IOAS_ALLOW_IOVAS. */
export const IommuIoasAllowIovas = new Struct("iommu_ioas_allow_iovas")
  .UInt32LE("size")
  .UInt32LE("ioas_id")
  .UInt32LE("num_iovas")
  .UInt32LE("__reserved")
  .BigUInt64LE("allowed_iovas") // address of an array of IommuIovaRange
  .compile();
export type IommuIoasAllowIovas = Fields<typeof IommuIoasAllowIovas>;

/** `IOMMU_IOAS_MAP_*`: `enum iommufd_ioas_map_flags`. WRITEABLE and READABLE are the device's rights. */
export const iommuIoasMapFlag = constants("IOMMU_IOAS_MAP_", { FIXED_IOVA: 1, WRITEABLE: 2, READABLE: 4 });

/** `struct iommu_ioas_map`, of IOAS_MAP. */
export const IommuIoasMap = new Struct("iommu_ioas_map")
  .UInt32LE("size")
  .UInt32LE("flags") // iommuIoasMapFlag
  .UInt32LE("ioas_id")
  .UInt32LE("__reserved")
  .BigUInt64LE("user_va") // HVA
  .BigUInt64LE("length") // bytes
  .BigUInt64LE("iova") // in with FIXED_IOVA, else out
  .compile();
export type IommuIoasMap = Fields<typeof IommuIoasMap>;

/** `struct iommu_ioas_map_file`, of IOAS_MAP_FILE: a memfd instead of addresses. Linux 6.13. */
export const IommuIoasMapFile = new Struct("iommu_ioas_map_file")
  .UInt32LE("size")
  .UInt32LE("flags") // iommuIoasMapFlag
  .UInt32LE("ioas_id")
  .Int32LE("fd")
  .BigUInt64LE("start") // in the file, bytes
  .BigUInt64LE("length") // bytes
  .BigUInt64LE("iova")
  .compile();
export type IommuIoasMapFile = Fields<typeof IommuIoasMapFile>;

/** `struct iommu_ioas_copy`, of IOAS_COPY: a mapping made before, in another address space too. */
export const IommuIoasCopy = new Struct("iommu_ioas_copy")
  .UInt32LE("size")
  .UInt32LE("flags") // iommuIoasMapFlag
  .UInt32LE("dst_ioas_id")
  .UInt32LE("src_ioas_id")
  .BigUInt64LE("length") // bytes
  .BigUInt64LE("dst_iova")
  .BigUInt64LE("src_iova")
  .compile();
export type IommuIoasCopy = Fields<typeof IommuIoasCopy>;

/** `struct iommu_ioas_unmap`, of IOAS_UNMAP. */
export const IommuIoasUnmap = new Struct("iommu_ioas_unmap")
  .UInt32LE("size")
  .UInt32LE("ioas_id")
  .BigUInt64LE("iova")
  .BigUInt64LE("length") // bytes; out: how many were mapped
  .compile();
export type IommuIoasUnmap = Fields<typeof IommuIoasUnmap>;

/** `struct iommu_ioas_change_process`, of IOAS_CHANGE_PROCESS: pinned memory is charged to the caller. Linux 6.14. */
export const IommuIoasChangeProcess = new Struct("iommu_ioas_change_process")
  .UInt32LE("size")
  .UInt32LE("__reserved")
  .compile();
export type IommuIoasChangeProcess = Fields<typeof IommuIoasChangeProcess>;

/** `struct iommu_ioas_noiommu_get_pa`, of IOAS_NOIOMMU_GET_PA: where pinned memory is, for devices without IOMMU. Linux 7.3. */
export const IommuIoasNoiommuGetPa = new Struct("iommu_ioas_noiommu_get_pa")
  .UInt32LE("size")
  .UInt32LE("flags") // 0
  .UInt32LE("ioas_id")
  .UInt32LE("__reserved")
  .BigUInt64LE("iova")
  .BigUInt64LE("length") // bytes; in: at most, out: how many are contiguous
  .BigUInt64LE("out_phys") // host physical address
  .compile();
export type IommuIoasNoiommuGetPa = Fields<typeof IommuIoasNoiommuGetPa>;

/** `struct iommu_option`, of OPTION. */
export const IommuOption = new Struct("iommu_option")
  .UInt32LE("size")
  .UInt32LE("option_id") // iommuOption
  .UInt16LE("op") // iommuOptionOp
  .UInt16LE("__reserved")
  .UInt32LE("object_id") // an IOAS, or 0
  .BigUInt64LE("val64")
  .compile();
export type IommuOption = Fields<typeof IommuOption>;

/** `IOMMU_OPTION_*`: `enum iommufd_option`. RLIMIT_MODE 1 charges the process; HUGE_PAGES 0 forbids joining pages. */
export const iommuOption = constants("IOMMU_OPTION_", { RLIMIT_MODE: 0, HUGE_PAGES: 1 });
/** `IOMMU_OPTION_OP_*`: `enum iommufd_option_ops`. */
export const iommuOptionOp = constants("IOMMU_OPTION_OP_", { SET: 0, GET: 1 });

/** `struct iommu_vfio_ioas`, of VFIO_IOAS: the IOAS behind an iommufd that is used as a container. */
export const IommuVfioIoas = new Struct("iommu_vfio_ioas")
  .UInt32LE("size")
  .UInt32LE("ioas_id")
  .UInt16LE("op") // iommuVfioIoasOp
  .UInt16LE("__reserved")
  .compile();
export type IommuVfioIoas = Fields<typeof IommuVfioIoas>;

/** `IOMMU_VFIO_IOAS_*`: `enum iommufd_vfio_ioas_op`. */
export const iommuVfioIoasOp = constants("IOMMU_VFIO_IOAS_", { GET: 0, SET: 1, CLEAR: 2 });
