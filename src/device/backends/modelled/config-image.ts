// The image of a modelled device: its config space built from maps, its regions and interrupts.
import { irqsOf } from "../../../image/defaults.ts";
import { imageFormat, type DeviceImage } from "../../../image/image.ts";
import { endpointHeader, extendedStart } from "../../../regs/index.ts";
import { ioBar, memoryBar } from "../../../regs/maps/bar.ts";
import { absentRegion, RegionIndex, type RegionInfo } from "../../../regs/vfio/regions.ts";
import {
  barRegisters,
  capabilitiesPointer,
  capabilityList,
  identity,
  interruptPin,
} from "../../pci/header-registers.ts";
import { msiCapabilityOf, msixCapabilityOf, placeCapabilities } from "./capabilities.ts";
import type { ModelBar, ModelBars, ModelDescription } from "./description.ts";

const minMemory = 16;
const minIo = 4;

/** The size of a BAR. @throws RangeError for one that is no power of two, or too small */
export function barSize(bar: string, { map, size, kind }: ModelBar): number {
  const min = Math.max(kind === "io" ? minIo : minMemory, map.size);
  if (size === undefined) return 2 ** Math.ceil(Math.log2(min));
  if (!Number.isSafeInteger(size) || size < min || !Number.isInteger(Math.log2(size)))
    throw new RangeError(`"bars.${bar}.size" must be a power of two from ${min}, not ${size}`);
  return size;
}

/** The BARs that a description has. */
export const barsIn = (bars: ModelBars): [index: number, bar: ModelBar][] =>
  Object.entries(bars).flatMap(([index, bar]) => (bar ? [[Number(index), bar]] : []));

const memoryType = memoryBar.field("low.type");
const prefetchable = memoryBar.field("low.prefetchable");
const ioSpace = ioBar.field("low.ioSpace");
const subsystem = { vendor: identity.subsystemVendorId, device: identity.subsystemId };
const revision = endpointHeader.register("revisionId");

/** @throws RangeError for a description that makes no PCI device */
export function modelImage(description: ModelDescription<ModelBars>): DeviceImage {
  const { name, vendorId, deviceId, classCode, bars, msi, msix, intx } = description;
  const capabilities = [...(description.capabilities ?? [])];
  if (msi) capabilities.push(msiCapabilityOf(msi.vectors, msi.maskable ?? true));
  if (msix) capabilities.push(msixCapabilityOf(msix.vectors, msix.bar, msix.table, msix.pba));
  const extended = capabilities.some((one) => one.extended);
  const config = new Uint8Array(new ArrayBuffer(extended ? 4096 : extendedStart));
  const view = new DataView(config.buffer);
  identity.vendorId.write(view, vendorId);
  identity.deviceId.write(view, deviceId);
  subsystem.vendor.write(view, description.subsystemVendorId ?? 0);
  subsystem.device.write(view, description.subsystemId ?? 0);
  revision.write(view, description.revision ?? 0);
  const { at } = endpointHeader.register("programmingInterface");
  for (let i = 0; i < 3; i++) config[at + i] = (classCode >>> (8 * i)) & 0xff;
  interruptPin.write(view, intx ? 1 : 0);
  const first = placeCapabilities(view, capabilities);
  capabilitiesPointer.write(view, first);
  capabilityList.write(view, first !== 0);
  const regions: RegionInfo[] = [];
  for (const [index, bar] of barsIn(bars)) {
    const register = barRegisters[index];
    if (!register) throw new RangeError(`"bars" must have 0 to 5, not ${index}`);
    if (bar.kind === "io") ioSpace.write(view, true, register.at);
    else {
      memoryType.write(view, bar.kind === "memory64" ? "64-bit" : "32-bit", register.at);
      prefetchable.write(view, bar.prefetchable ?? false, register.at);
    }
    const size = barSize(String(index), bar);
    regions.push({ ...absentRegion(index), size, readable: true, writable: true });
  }
  regions.push({
    ...absentRegion(RegionIndex.config),
    ...{ size: config.length, readable: true, writable: true },
  });
  return {
    ...{ version: imageFormat, bdf: name, config, regions, resettable: true, host: {} },
    irqs: irqsOf(config),
  };
}
