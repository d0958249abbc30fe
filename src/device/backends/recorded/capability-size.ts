// How many bytes of config space vfio-pci counts to a capability, as its `pci_cap_length`, `pci_ext_cap_length` and their
// helpers do (drivers/vfio/pci/vfio_pci_config.c, Linux 6.12). 0 hides it. Bytes past that belong to no capability.

type Size = number | ((config: DataView, at: number) => number);

/** What a malformed capability at the end of the space would be asked for reads 0. */
const byte = (config: DataView, at: number): number => (at < config.byteLength ? config.getUint8(at) : 0);
const word = (config: DataView, at: number): number => byte(config, at) | (byte(config, at + 1) << 8);
const dword = (config: DataView, at: number): number =>
  (word(config, at) | (word(config, at + 2) << 16)) >>> 0;

/** MSI by its flags: 64-bit addresses take 4 bytes, mask and pending bits 10 with the gap before them. */
const msi: Size = (config, at) => {
  const flags = word(config, at + 2);
  return 10 + (flags & 0x80 ? 4 : 0) + (flags & 0x100 ? 10 : 0);
};
/** PCI Express by version and type: a root complex integrated endpoint has no link registers. */
const express: Size = (config, at) => {
  const flags = word(config, at + 2);
  const integrated = ((flags >>> 4) & 0xf) === 9;
  if ((flags & 0xf) === 1) return integrated ? 12 : 20;
  return integrated ? 0x2c : 0x34;
};
const virtualChannels: Size = (config, at) => {
  const extra = byte(config, at + 4) & 7;
  const capable = byte(config, at + 8);
  const phases = capable & 8 ? 128 : capable & 4 ? 64 : capable & 2 ? 32 : 0;
  const size = 0x10 + (1 + extra) * 12;
  return phases === 0 ? size : Math.ceil(size / 16) * 16 + phases / 2;
};
const accessControl: Size = (config, at) => {
  if (!(byte(config, at + 4) & 0x20)) return 8;
  const bits = byte(config, at + 5);
  return 8 + (bits === 0 ? 256 : Math.ceil(bits / 32) * 32) / 8;
};
const processingHints: Size = (config, at) => {
  const capable = dword(config, at + 4);
  return (capable & 0x600) === 0x200 ? 12 + ((capable >>> 16) & 0x7ff) * 2 + 2 : 12;
};

const standard: Readonly<Record<number, Size>> = {
  0x01: 8, // PM
  0x02: 12, // AGP
  0x03: 8, // VPD
  0x05: msi,
  0x07: (config, at) => ((word(config, at + 2) >>> 12) & 3 ? 24 : 8), // PCI-X
  0x08: (config, at) => (byte(config, at + 3) & 0xe0 ? 24 : 28), // HyperTransport
  0x09: (config, at) => byte(config, at + 2), // vendor-specific
  0x10: express,
  0x11: 12, // MSI-X
  0x12: (config, at) => ((byte(config, at + 4) & 0xf) === 0xf ? 16 : 8), // SATA
  0x13: 6, // AF
};

const extended: Readonly<Record<number, Size>> = {
  0x01: 0x2c, // AER
  0x02: virtualChannels,
  0x03: 12, // device serial number
  0x04: 16, // power budgeting
  0x08: virtualChannels,
  0x09: virtualChannels,
  0x0b: (config, at) => dword(config, at + 4) >>> 20, // vendor-specific
  0x0d: accessControl,
  0x0e: 8, // ARI
  0x0f: 8, // ATS
  0x10: 0x40, // SR-IOV
  0x12: 40, // multicast
  0x13: 16, // page requests
  0x15: (config, at) => 4 + (byte(config, at + 8) >>> 5) * 8, // resizable BARs
  0x16: (config, at) => 16 + (byte(config, at + 4) & 0x1f) + 1, // dynamic power allocation
  0x17: processingHints,
  0x18: 8, // latency tolerance
  0x23: (config, at) => dword(config, at + 4) >>> 20, // designated vendor-specific
};

const sizeOf = (size: Size | undefined, config: DataView, at: number): number =>
  typeof size === "function" ? size(config, at) : (size ?? 0);

/** Bytes that a standard capability takes; 0 for one that vfio-pci takes out of the list. */
export const standardSize = (id: number, config: DataView, at: number): number =>
  sizeOf(standard[id], config, at);
/** Bytes that an extended capability takes; 0 for one that vfio-pci takes out of the list. */
export const extendedSize = (id: number, config: DataView, at: number): number =>
  sizeOf(extended[id], config, at);
