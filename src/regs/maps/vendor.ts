import { joinedBig } from "../derived.ts";
import { mapPerCount, standardCapability, standardHead } from "../capability.ts";
import { hex, precious, ro } from "../field.ts";
import { ownMap, type RegisterBlock } from "../map.ts";
import { r16, r32, r8, reset } from "../register.ts";
import { capabilityId } from "./ids.ts";
import { intelCapability, intelVendorId } from "./vendor-intel.ts";

/** Vendor-specific capability, PCI Express Base Specification 7.9.4: nothing but its length is defined. */
const plain = mapPerCount((size) =>
  ownMap("Vendor", size, () => ({
    ...standardHead,
    /** Of the whole capability, in bytes. */
    length: hex(r8(0x02, "ro", "Len")),
  })),
);

/** Of NVIDIA, as a PCI vendor. */
export const nvidiaVendorId = 0x10de;

/**
 * NVIDIA's approval of peer-to-peer traffic, which a hypervisor adds for its guest's driver to find: devices of one clique
 * may reach each other. `reset` is what it holds but for the clique.
 */
export const gpuDirectCliqueCapability = ownMap("GPUDirect", 8, () => ({
  id: reset(capabilityId.vendor, standardHead.id),
  next: standardHead.next,
  length: reset(8, hex(r8(0x02, "ro"))),
  /** "P2P", in two registers. */
  signature: reset(0x50, hex(r8(0x03, "ro"))),
  signature2: reset(0x5032, hex(r16(0x04, "ro"))),
  approval: r16(0x06, { version: ro(2, 0), clique: ro(6, 3) }),
}));

/** What every vendor-specific capability begins with. */
export const vendorHead = ownMap("Vendor", 3, () => ({
  ...standardHead,
  length: hex(r8(0x02, "ro", "Len")),
}));

const virtioHead = {
  ...standardHead,
  length: hex(r8(0x02, "ro", "Len")),
  type: r8(
    0x03,
    {
      structure: ro(
        7,
        0,
        { CommonCfg: 1, Notify: 2, ISR: 3, DeviceCfg: 4, PciCfg: 5, SharedMemory: 8, Vendor: 9 },
        "type",
      ),
    },
    "Structure",
  ),
} as const;
// The driver may write where the window points only in the capability of the window itself.
const location = <A extends "ro" | "rw">(access: A) => ({
  bar: r8(0x04, access, "Structure: BAR"),
  structureId: r8(0x05, "ro"),
  offset: hex(r32(0x08, access, "Structure: offset")),
  size: hex(r32(0x0c, access, "Structure: size")),
});

/** Where a structure of a virtio device lies, Virtual I/O Device 1.3, 4.1.4. */
export const virtioCapability = ownMap("virtio", 16, () => ({ ...virtioHead, ...location("ro") }));
/** The notification structure, 4.1.4.4. */
export const virtioNotifyCapability = ownMap("virtio", 20, () => ({
  ...virtioHead,
  ...location("ro"),
  /** In bytes between the notification addresses of two queues. */
  notifyMultiplier: hex(r32(0x10, "ro", "Structure: multiplier")),
}));
/** The window into the BARs through config space, 4.1.4.9: an access to its data is one to the BAR. */
export const virtioPciConfigCapability = ownMap("virtio", 20, () => ({
  ...virtioHead,
  ...location("rw"),
  data: precious(hex(r32(0x10, "rw"))),
}));
/** A region shared with the device, 4.1.4.7, with 64-bit offset and size. */
export const virtioSharedMemoryCapability = ownMap("virtio", 24, () => ({
  ...virtioHead,
  ...location("ro"),
  offsetHigh: hex(r32(0x10, "ro")),
  sizeHigh: hex(r32(0x14, "ro")),
  regionOffset: joinedBig(["offsetHigh", "offset"], { hex: true, label: "Region offset" }),
  regionSize: joinedBig(["sizeHigh", "size"], { hex: true, label: "Region size" }),
}));

const virtioStructures: Readonly<Record<number, RegisterBlock>> = {
  2: virtioNotifyCapability,
  5: virtioPciConfigCapability,
  8: virtioSharedMemoryCapability,
};
const isVirtio = (config: DataView): boolean => {
  const device = config.getUint16(2, true);
  return config.getUint16(0, true) === 0x1af4 && device >= 0x1000 && device <= 0x107f;
};

export const vendorSpecific = standardCapability(capabilityId.vendor, "Vendor", (config, at, limit) => {
  // The head and the length are there in any case; a length past the end is cut.
  const length = limit >= 3 ? Math.min(Math.max(config.getUint8(at + 2), 3), limit) : 3;
  if (isVirtio(config) && length >= 16) {
    const map = virtioStructures[config.getUint8(at + 3)] ?? virtioCapability;
    return map.size <= length ? map : virtioCapability;
  }
  if (config.getUint16(0, true) === intelVendorId && length >= 4)
    return intelCapability(config.getUint8(at + 3), length);
  return plain(length);
});
