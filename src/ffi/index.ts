// `bun-vfio/ffi`: files, memory, device registers and events of Linux, by way of bun:ffi. No policy, and nothing of PCI.
export { AnonymousMemory } from "./anonymous-memory.ts";
export { memoryAdvice } from "./constants.ts";
export { VfioError, type VfioErrorDetails } from "./errors.ts";
export { errnoName } from "./errno.ts";
export { Eventfd, drainEventfd, isReadable, signalEventfd, waitReadable } from "./eventfd.ts";
export { EventfdListener, eventfdEvents, type ListenOptions } from "./eventfd-listener.ts";
export { FileDescriptor, type OpenOptions } from "./file-descriptor.ts";
export { readAt, writeAt } from "./file-io.ts";
export { getLimit, lockedMemory, setSoftLimit, type LockedMemory, type ResourceLimit } from "./limits.ts";
export { MappedRegisters, type WideAccess } from "./mapped-registers.ts";
export { Mapping, hugeAlignment, maxAlignment, maxViewSize, type MappingOptions } from "./mapping.ts";
export { MemoryFile, type MemoryFileOptions } from "./memory-file.ts";
export { pageSize } from "./page-size.ts";
export type { FailureContext } from "./system-error.ts";
export { formatSyscall, traceSyscalls, type Syscall, type SyscallListener } from "./trace.ts";
