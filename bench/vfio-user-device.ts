// The device of peers/vfio-user.c, as far as it is measured: BAR0 of 4 KiB and a config space, both plain memory.
import type { DeviceBackend } from "bun-vfio";
import { absentIrq, absentRegion, IrqIndex, RegionIndex } from "bun-vfio";

const size = 4096;

const region = (index: number) => ({ ...absentRegion(index), size, readable: true, writable: true });

/** For a server's thread, or one that blocks. */
export default (): DeviceBackend => {
  const places: readonly number[] = [RegionIndex.bar0, RegionIndex.config];
  const memory = new Map(places.map((index) => [index, new Uint8Array(size)]));
  const bar = memory.get(RegionIndex.bar0)!;
  const config = memory.get(RegionIndex.config)!;
  config.set([0x34, 0x12, 0xef, 0xbe]);
  const of = (index: number): Uint8Array => (index === RegionIndex.bar0 ? bar : config);
  return {
    name: "memory",
    resettable: true,
    regions: Array.from({ length: 9 }, (_, index) =>
      memory.has(index) ? region(index) : absentRegion(index),
    ),
    irqs: Array.from({ length: 5 }, (_, index) =>
      index === IrqIndex.msix ? { ...absentIrq(index), count: 64, eventfd: true } : absentIrq(index),
    ),
    read: (index, offset, data) => {
      const from = of(index);
      for (let i = 0; i < data.length; i++) data[i] = from[offset + i]!;
    },
    write: (index, offset, data) => {
      const to = of(index);
      for (let i = 0; i < data.length; i++) to[offset + i] = data[i]!;
    },
    map: () => {
      throw new Error("nothing is mapped");
    },
    setIrqs: () => {},
    reset: () => void bar.fill(0),
    probeFeature: () => undefined,
    [Symbol.dispose]: () => {},
  };
};
