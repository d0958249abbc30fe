// A device and a virtual machine that do nothing: what is left of a trap is the model's own.
import type { Library } from "../compare/library.ts";

type Attach = Library["device"]["VfioPciDevice"]["attach"];
export type Backend = Parameters<Attach>[0];
export type Platform = Parameters<Attach>[1];
type Image = ReturnType<Library["image"]["readImage"]>;

const none = (): void => {};
const configRegion = 7;

/** Answers zeros, and from config space what was recorded. */
export function idleBackend({ device }: Library, image: Image): Backend {
  const { config } = image;
  using recording = new device.RecordedDevice(image);
  const { regions, irqs } = recording;
  return {
    name: image.bdf,
    resettable: true,
    ...{ regions, irqs },
    read(region, offset, data) {
      if (region === configRegion && data.length > 4) data.set(config.subarray(offset, offset + data.length));
      else if (region === configRegion) for (let i = 0; i < data.length; i++) data[i] = config[offset + i]!;
      else for (let i = 0; i < data.length; i++) data[i] = 0;
    },
    write: none,
    map: (_, { size }) => ({ hva: 0x1000_0000, size, [Symbol.dispose]: none }),
    setIrqs: none,
    reset: none,
    probeFeature: () => undefined,
    [Symbol.dispose]: none,
  };
}

/** Free addresses go up; what is given back is not used again. */
function window(base: number, size: number): Platform["addresses"]["mmio32"] {
  let next = base;
  return {
    ...{ base, size },
    allocate(bytes, alignment) {
      const at = Math.ceil(next / alignment) * alignment;
      next = at + bytes;
      return at;
    },
    reserve: () => true,
    free: none,
  };
}

/** @param updates counts routes that changed */
export function idlePlatform(updates: { count: number }): Platform {
  const group = {
    eventfd: (vector: number): number => 100 + vector,
    update: (): void => void updates.count++,
    pending: () => false,
    release: none,
    discard: none,
    signal: none,
    [Symbol.dispose]: none,
  };
  const line = { eventfd: 98, resample: 99, connect: none, disconnect: none, [Symbol.dispose]: none };
  return {
    pageSize: 4096,
    memory: { add: () => 1, remove: none },
    interrupts: { createMsiGroup: () => group, createIntx: () => line },
    addresses: {
      mmio32: window(0xc000_0000, 0x2000_0000),
      mmio64: window(0x40_0000_0000, 0x40_0000_0000),
      io: window(0x1000, 0xf000),
    },
    bus: { insert: none, remove: none },
  };
}
