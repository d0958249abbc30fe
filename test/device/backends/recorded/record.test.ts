import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import type { DeviceBackend } from "../../../../src/device/seam/backend.ts";
import { readConfigBytes } from "../../../../src/regs/config-reader.ts";
import { recordDevice } from "../../../../src/device/backends/recorded/record.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { VfioError } from "../../../../src/ffi/errors.ts";
import { readImage, writeImage, type DeviceImage } from "../../../../src/image/index.ts";

const images = join(import.meta.dir, "../../../../images");
const image = (name: string): DeviceImage => readImage(readFileSync(join(images, `${name}.json`), "utf8"));

/** A backend whose reads can be watched and made to fail. */
function watched(
  device: DeviceImage,
  fail: (region: number, offset: number) => boolean = () => false,
): { backend: DeviceBackend; reads: [region: number, offset: number, size: number][]; writes: unknown[] } {
  const inner = new RecordedDevice(device);
  const reads: [number, number, number][] = [];
  const writes: unknown[] = [];
  const backend = new Proxy<DeviceBackend>(inner, {
    get(_, key) {
      if (key === "read")
        return (region: number, offset: number, data: Uint8Array) => {
          reads.push([region, offset, data.length]);
          if (fail(region, offset)) throw new VfioError("no answer", { code: "EIO" });
          inner.read(region, offset, data);
        };
      if (key === "write")
        return (region: number, offset: number, data: Uint8Array) => {
          writes.push([region, offset, [...data]]);
          inner.write(region, offset, data);
        };
      const value: unknown = Reflect.get(inner, key, inner);
      return typeof value === "function" ? value.bind(inner) : value;
    },
  });
  return { backend, reads, writes };
}

test.each(["ahci", "e1000e", "edu", "igb", "nvme", "pci-testdev", "virtio-blk", "virtio-net", "xhci"])(
  "a recording of the recorded %s is the same, and can be written",
  (name) => {
    const first = image(name);
    const { backend, writes } = watched(first);
    const again = recordDevice(backend, { bdf: first.bdf, host: first.host });
    expect(readImage(writeImage(again))).toEqual(again);
    expect(again.regions.map(({ contents: _, ...region }) => region)).toEqual(
      first.regions.map(({ contents: _, ...region }) => region),
    );
    expect(again.irqs).toEqual(first.irqs);
    expect(again.resettable).toBe(first.resettable);
    const shown = new Uint8Array(new ArrayBuffer(again.config.length));
    backend.read(RegionIndex.config, 0, shown);
    if (!name.startsWith("virtio")) expect(again.config).toEqual(shown);
    expect(writes).toEqual([]);
  },
);

test("registers whose read has an effect are not read", () => {
  // The last capability of virtio: its data window reads a BAR.
  const { backend, reads } = watched(image("virtio-net"));
  const { config } = recordDevice(backend, { bdf: "0000:06:00.0" });
  const at = [...config.keys()].find(
    (offset) => offset >= 0x40 && config[offset] === 9 && config[offset + 3] === 5,
  )!;
  const window = [at + 16, at + 20] as const;
  expect(at).toBeGreaterThanOrEqual(0x40);
  const touched = reads.filter(
    ([region, offset, size]) => region === 7 && offset < window[1] && offset + size > window[0],
  );
  expect(touched).toEqual([]);
  // Every other byte is read.
  const seen = new Set(
    reads.flatMap(([, offset, size]) => Array.from({ length: size }, (_, i) => offset + i)),
  );
  expect([...config.keys()].filter((offset) => !seen.has(offset))).toEqual(
    [0, 1, 2, 3].map((i) => window[0] + i),
  );
});

test("BARs on request, with decoding on meanwhile", () => {
  const device = image("edu");
  const bytes = Uint8Array.from({ length: 8192 }, (_, i) => i % 251);
  const regions = device.regions.map((region) =>
    region.index === 0 ? { ...region, size: 8192, contents: [{ offset: 0, bytes }] } : region,
  );
  const { backend, writes } = watched({ ...device, regions });
  backend.write(7, 4, Uint8Array.of(0, 1));
  writes.length = 0;
  const image0 = recordDevice(backend, { bdf: device.bdf, barContents: true });
  expect(image0.regions[0]?.contents).toEqual([{ offset: 0, bytes }]);
  expect(writes).toEqual([
    [7, 4, [3, 1]],
    [7, 4, [0, 1]],
  ]);
  expect(image0.config[4]).toBe(0);
  expect(recordDevice(backend, { bdf: device.bdf }).regions[0]?.contents).toBeUndefined();
});

test("what cannot be read of a BAR is left out, and noted", () => {
  const device = image("nvme");
  const { backend } = watched(device, (region, offset) => region === 0 && offset === 4096);
  const { regions, host } = recordDevice(backend, { bdf: device.bdf, barContents: true });
  expect(regions[0]?.contents?.map(({ offset, bytes }) => [offset, bytes.length])).toEqual([
    [0, 4096],
    [8192, 8192],
  ]);
  expect(host.notes).toEqual(["4096 bytes of BAR0 could not be read: no answer"]);
});

test("decoding goes back even if a read throws something else", () => {
  const device = image("nvme");
  const { backend, writes } = watched(device, (region) => {
    if (region === 0) throw new TypeError("broken");
    return false;
  });
  backend.write(7, 4, Uint8Array.of(0, 0));
  writes.length = 0;
  expect(() => recordDevice(backend, { bdf: device.bdf, barContents: true })).toThrow("broken");
  expect(writes).toHaveLength(2);
});

test("a BAR that an image cannot hold is cut, and that is noted", () => {
  const device = image("edu");
  const size = 2 ** 40;
  const regions = device.regions.map((region) => (region.index === 0 ? { ...region, size } : region));
  const { backend } = watched({ ...device, regions });
  const backendWithout: DeviceBackend = new Proxy(backend, {
    get: (target, key) =>
      key === "read"
        ? (region: number, offset: number, data: Uint8Array) =>
            region === 0 ? data.fill(0) : target.read(region, offset, data)
        : Reflect.get(target, key),
  });
  const { regions: recorded, host } = recordDevice(backendWithout, { bdf: device.bdf, barContents: true });
  expect(recorded[0]?.contents?.[0]?.bytes.length).toBe(2 ** 25);
  expect(host.notes).toEqual([
    "of BAR0 the first 33554432 of 1099511627776 bytes are recorded: an image holds 33554432",
  ]);
});

test("the ROM on request; one without its signature is noted", () => {
  const device = image("nvme");
  const rom = (bytes: Uint8Array): DeviceImage => ({
    ...device,
    regions: [
      ...device.regions.filter(({ index }) => index < 6),
      {
        index: 6,
        size: 4096,
        readable: true,
        writable: false,
        mappable: false,
        msixMappable: false,
        contents: [{ offset: 0, bytes }],
      },
      ...device.regions.filter(({ index }) => index > 6),
    ],
  });
  const record = (given: DeviceImage): DeviceImage =>
    recordDevice(watched(given).backend, { bdf: device.bdf, rom: true });
  const good = Uint8Array.from({ length: 4096 }, (_, i) => [0x55, 0xaa][i] ?? 1);
  const found = record(rom(good));
  expect(found.regions.find(({ index }) => index === 6)?.contents).toEqual([{ offset: 0, bytes: good }]);
  expect(found.host.notes).toBeUndefined();
  expect(record(rom(new Uint8Array(4096).fill(0xff))).host.notes).toEqual([
    "the ROM does not begin with its signature: it is empty, or the firmware hides it",
  ]);
  expect(record(device).host.notes).toEqual(["the device has no ROM"]);
});

test("a device that does not answer is not recorded", () => {
  const { backend } = watched(image("nvme"));
  const dead: DeviceBackend = new Proxy(backend, {
    get: (target, key) =>
      key === "read"
        ? (_: number, __: number, data: Uint8Array) => data.fill(0xff)
        : Reflect.get(target, key),
  });
  expect(() => recordDevice(dead, { bdf: "0000:02:00.0" })).toThrow("config space reads all ones");
});

test("config space: a device that is gone costs one read, a list in a circle no more than its bytes", () => {
  let reads = 0;
  const gone = readConfigBytes(4096, (_, into) => {
    reads++;
    into.fill(0xff);
  });
  expect([reads, gone[4095]]).toEqual([1, 0]);
  const hostile = new Uint8Array(4096);
  hostile.set([0x86, 0x80, 0, 0, 0, 0, 0x10]);
  hostile[0x34] = 0x40;
  for (let at = 0x40; at < 256; at += 4) hostile.set([9, at === 0xfc ? 0x40 : at + 4], at);
  for (let at = 256; at < 4096; at += 4) {
    const next = at === 4092 ? 256 : at + 4;
    hostile.set([0x0b, 0, 0x01 | ((next & 0xf) << 4), next >> 4], at);
  }
  reads = 0;
  const bytes = readConfigBytes(4096, (offset, into) => {
    reads++;
    into.set(hostile.subarray(offset, offset + into.length));
  });
  expect(bytes).toEqual(hostile);
  expect(reads).toBeLessThan(1100);
});
