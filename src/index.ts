/**
 * Devices of this host through VFIO, their DMA, the passthrough model, and the host itself.
 * @module bun-vfio
 */
export * from "./device/platforms/range-allocator.ts";
export * from "./device/seam/backend.ts";
export { absentIrq, IrqIndex, type IrqInfo, type IrqRequest } from "./regs/vfio/irqs.ts";
export { absentRegion, RegionIndex, type RegionArea, type RegionInfo } from "./regs/vfio/regions.ts";
export { barName, type Bar, type BarKind } from "./device/pci/bars.ts";
export type { MappedArea } from "./device/passthrough/bars/bar-mapping.ts";
export * from "./regs/config-address.ts";
export * from "./device/seam/counted-backend.ts";
export type { DescribedBar, DescribedCapability, DeviceDescription } from "./device/passthrough/describe.ts";
export type * from "./device/seam/device-memory.ts";
export * from "./ffi/errors.ts";
export type { DeviceEvent, DeviceEventKind } from "./device/seam/events.ts";
export type { IntxMode } from "./device/passthrough/interrupts/intx.ts";
export { DmaBuffer, type DmaBufferOptions } from "./device/dma/dma-buffer.ts";
export { DmaMap, type DmaMapOptions } from "./device/dma/dma-map.ts";
export { DmaFile, type DmaEnd, type DmaMedium, type DmaOutcome } from "./device/dma/dma-file.ts";
export { copyPieces, mappedPieces, type DmaPiece } from "./device/dma/dma-pieces.ts";
export type { DmaEntry, DmaRequest } from "./device/dma/dma-request.ts";
export * from "./device/dma/external-dma.ts";
export { GuestRam, type RamPiece } from "./device/dma/guest-ram.ts";
export type { Iommu, IommuMapping } from "./device/seam/iommu.ts";
export { chooseApi, type ApiChoice, type DeviceApi } from "./device/backends/kernel/choose-api.ts";
export { Container, type ContainerOptions } from "./device/backends/kernel/container.ts";
export type { ContainerIommu } from "./device/backends/kernel/container-iommu.ts";
export type { DeviceNotice } from "./device/backends/kernel/device-notices.ts";
export type { FeatureReport, MigrationSupport } from "./device/backends/kernel/features.ts";
export type { Group } from "./device/backends/kernel/group.ts";
export type { HotResetDevice, HotResetReport } from "./device/backends/kernel/hot-reset.ts";
export { Ioas, Iommufd, type IommufdOptions } from "./device/backends/kernel/ioas.ts";
export { KernelDevice } from "./device/backends/kernel/kernel-device.ts";
export {
  interruptSelfTest,
  loopBack,
  type InterruptSelfTestResult,
  type LoopBackResult,
} from "./device/backends/kernel/interrupt-self-test.ts";
export {
  PhysicalBuffer,
  PhysicalMemory,
  type PhysicalPiece,
} from "./device/backends/kernel/physical-memory.ts";
export {
  openDevice,
  type OpenedDescriptors,
  type OpenOptions,
} from "./device/backends/kernel/open-device.ts";
export type { KernelMapping } from "./device/backends/kernel/region-mapping.ts";
export { Vectors } from "./device/backends/kernel/vectors.ts";
export * from "./device/platforms/memory/memory-platform.ts";
export type { MsixArea, MsixGeometry } from "./device/pci/msix-geometry.ts";
export type { AttachOptions, BarOptions } from "./device/passthrough/options.ts";
export type { ConfigMirror, MirroredArea } from "./device/passthrough/config/config-mirrors.ts";
export { hiddenByDefault, type Patch, type PatchOptions } from "./device/passthrough/config/patches.ts";
export * from "./device/seam/platform.ts";
export * from "./device/seam/trace.ts";
export { formatTraceEntry, traceEntry, traceListener, type TraceEntry } from "./device/seam/trace-text.ts";
export * from "./device/address/range.ts";
export { recordDevice, type RecordOptions } from "./device/backends/recorded/record.ts";
export * from "./device/seam/device-memory.ts";
export { modelledDevice, ModelledDevice } from "./device/backends/modelled/modelled-device.ts";
export { LocalEnvironment, LocalMemory } from "./device/backends/modelled/local-environment.ts";
export {
  modelCapability,
  type FieldValues,
  type PlacedCapability,
} from "./device/backends/modelled/capabilities.ts";
export type * from "./device/backends/modelled/description.ts";
export type { ModelInterrupts } from "./device/backends/modelled/interrupts.ts";
export type { BankPath, RegisterBank } from "./device/backends/modelled/register-bank.ts";
export {
  RecordedDevice,
  type FailingCall,
  type RecordedAccesses,
} from "./device/backends/recorded/recorded-device.ts";
export { RegionRegisters } from "./device/seam/region-registers.ts";
export * from "./device/replay/replay.ts";
export { FlightRecorder, type FlightRecorderOptions } from "./device/replay/flight-recorder.ts";
export type { FlightEntries, FlightEntry } from "./device/replay/flight-format.ts";
export { readFlight, type FlightRecording } from "./device/replay/read-flight.ts";
export { replayFlight, type FlightDifference, type FlightReport } from "./device/replay/flight-replay.ts";
export { readLiveFlight, serveFlight } from "./device/replay/live-flight.ts";
export { redactFlight } from "./device/replay/redact-flight.ts";
export { TraceFile, type TraceFileOptions } from "./device/replay/trace-file.ts";
export type { DeviceSnapshot } from "./device/passthrough/snapshot.ts";
export * from "./device/host/binding.ts";
export * from "./device/host/rebind.ts";
export * from "./device/host/rebind-refusals.ts";
export * from "./device/host/host-info.ts";
export * from "./device/host/sysroot.ts";
export * from "./device/host/in-use.ts";
export * from "./device/host/iommu-group.ts";
export { KernelBuild, type ModulePlace } from "./device/host/kernel-build.ts";
export * from "./device/host/kernel-names.ts";
export * from "./device/host/node-holders.ts";
export { isHostPart, readPciDevice, readPciDevices, type PciDevice } from "./device/host/pci-device.ts";
export type { PciResource } from "./device/host/resources.ts";
export { recordFromSysfs } from "./device/host/sysfs-recorder.ts";
export { readSurroundings, type Surroundings } from "./device/host/surroundings.ts";
export { deviceNodes } from "./device/host/vfio-nodes.ts";
export { deviceVerdict, groupReason, groupState, type DeviceVerdict } from "./device/host/verdict.ts";
export { VfioPciDevice } from "./device/passthrough/vfio-pci-device.ts";
