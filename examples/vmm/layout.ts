// Where everything of the guest's machine is. Firmware tables, devices and the loader all take it from here.
import { memoryType, pcMemoryPlaces, type MemoryArea, type MemoryPlace } from "bun-vfio/kvm";

export const KiB = 2 ** 10;
export const MiB = 2 ** 20;
export const GiB = 2 ** 30;

/** A window of addresses or ports. */
export interface Window {
  readonly base: number;
  readonly size: number;
}

/** Guest physical addresses. RAM is below 3 GiB and from 4 GiB on; the devices are in the hole and above all RAM. */
export const memory = {
  /** Boot parameters, with the first stack below; descriptors and page tables; command line: in the lowest 640 KiB. */
  bootParams: 0x7000,
  tables: 0x8000,
  commandLine: 0x2_0000,
  lowEnd: 0x9_fc00,
  /** Firmware tables: where a guest looks for the RSDP, up to 1 MiB. */
  acpi: { base: 0xe_0000, size: 0x2_0000 },
  /** Where a BIOS begins: f000:fff0. */
  bios: 0xf_fff0,
  hole: 3 * GiB,
  /** 32-bit BARs. */
  mmio32: { base: 3 * GiB, size: 512 * MiB },
  /** Config space of bus 0: 4 KiB for each of its 256 functions. */
  ecam: { base: 0xe000_0000, size: 1 * MiB },
  ioapic: 0xfec0_0000,
  localApic: 0xfee0_0000,
  /** 64-bit BARs. */
  mmio64: { base: 64 * GiB, size: 64 * GiB },
} as const;

/** I/O ports. */
export const ports = {
  rtc: { base: 0x70, size: 2 },
  keyboard: { base: 0x60, size: 5 },
  serial: { base: 0x3f8, size: 8 },
  /** Sleep control and status of ACPI. */
  power: { base: 0x600, size: 2 },
  hotplug: { base: 0x610, size: 8 },
  /** CONFIG_ADDRESS, with the reset port 0xcf9 in it, and CONFIG_DATA. */
  config: { base: 0xcf8, size: 8 },
  /** I/O BARs. */
  bars: { base: 0x1000, size: 0xf000 },
} as const;

/** Pins of the IOAPIC. */
export const gsi = { serial: 4, hotplug: 10, firstPci: 16 } as const;

/** Devices of bus 0: 0 is the host bridge. */
export const lastSlot = 31;

/** What an interrupt pin of a PCI device is wired to: one of eight pins of the IOAPIC. @param pin 1 to 4 for INTA to INTD */
export const gsiOf = (slot: number, pin: number): number => gsi.firstPci + ((slot + pin - 1) % 8);

export const pageSize = 4 * KiB;
export const mostCpus = 32;
export const smallestMemory = 64 * MiB;
export const largestMemory = memory.mmio64.base - (4 * GiB - memory.hole);

/** Where so many bytes of RAM are. */
export const ramOf = (size: number): MemoryPlace[] => pcMemoryPlaces(size, memory.hole);

/** What the guest is told of its memory: what is usable, and where the firmware's tables are. */
export const memoryMap = (size: number): MemoryArea[] => [
  { base: 0, size: memory.lowEnd, type: memoryType.ram },
  { ...memory.acpi, type: memoryType.acpi },
  ...ramOf(size).map(({ gpa, size: bytes }) => ({
    ...(gpa === 0 ? { base: MiB, size: bytes - MiB } : { base: gpa, size: bytes }),
    type: memoryType.ram,
  })),
];
