/**
 * Files, memory, device registers and events of Linux, by way of bun:ffi, and a typed function for each ioctl of VFIO,
 * iommufd and KVM. No policy.
 * @module bun-vfio/ffi
 */
export { AioPoll } from "./aio-poll.ts";
export { AnonymousMemory } from "./anonymous-memory.ts";
export { AsyncFile, type AsyncResult, type MemoryPiece } from "./async-file.ts";
export { Arena, type ArenaPiece } from "./arena.ts";
export { memoryAdvice } from "./constants.ts";
export { DurableFile, writeDurably, type DurableFileOptions } from "./durable-file.ts";
export { Unreleased } from "./unreleased.ts";
export { VfioError, type VfioErrorDetails } from "./errors.ts";
export { errnoName, errnoNumber } from "./errno.ts";
export { Eventfd, drainEventfd, isReadable, signalEventfd, waitReadable } from "./eventfd.ts";
export { EventfdListener, eventfdEvents, type ListenOptions } from "./eventfd-listener.ts";
export { FileDescriptor, type OpenOptions } from "./file-descriptor.ts";
export { readAt, writeAt } from "./file-io.ts";
export { fileStatus, sealAgainstShrinking, type FileStatus } from "./file-status.ts";
export { getLimit, lockedMemory, setSoftLimit, type LockedMemory, type ResourceLimit } from "./limits.ts";
export { MappedRegisters, type WideAccess } from "./mapped-registers.ts";
export { Mapping, hugeAlignment, maxAlignment, maxViewSize, type MappingOptions } from "./mapping.ts";
export { MemoryFile, type MemoryFileOptions } from "./memory-file.ts";
export { MessageSocket, maxDescriptors, messageSocketOverhead } from "./message-socket.ts";
export { PollSet } from "./poll.ts";
export { pageSize } from "./page-size.ts";
export { holdSignal, kickSignal, signalThread, takeSignal, threadId, type HeldSignal } from "./signals.ts";
export type { FailureContext } from "./system-error.ts";
export { formatSyscall, traceSyscalls, type Syscall, type SyscallListener } from "./trace.ts";
export {
  acceptUnix,
  connectUnix,
  listenUnix,
  maxSocketPath,
  peerCredentials,
  setSocketTimeout,
  shutdownSocket,
  unixPair,
  type PeerCredentials,
} from "./unix-socket.ts";

export { ioctl, ioctlOrErrno, type IoctlArgument, type IoctlContext, type IoctlWhat } from "./ioctl.ts";
export * from "./iommufd-hardware.ts";
export * from "./iommufd-hwpt.ts";
export * from "./iommufd-ioas.ts";
export * from "./iommufd-map.ts";
export * from "./iommufd-option.ts";
export * from "./iommufd-viommu.ts";
export * from "./kvm-arm64.ts";
export type { CpuidEntry } from "./kvm-cpuid.ts";
export * from "./kvm-device.ts";
export * from "./kvm-interrupts.ts";
export * from "./kvm-memory.ts";
export * from "./kvm-system.ts";
export * from "./kvm-vcpu.ts";
export * from "./kvm-vm.ts";
export * from "./vfio-cdev.ts";
export * from "./vfio-container.ts";
export * from "./vfio-device.ts";
export * from "./vfio-dma-buf.ts";
export * from "./vfio-feature.ts";
export * from "./vfio-graphics.ts";
export * from "./vfio-group.ts";
export * from "./vfio-info.ts";
export * from "./vfio-ioeventfd.ts";
export * from "./vfio-irqs.ts";
export * from "./vfio-migration.ts";
export * from "./vfio-region.ts";
export * from "./vfio-reset.ts";
export * from "./vfio-type1.ts";
