// machines: (none-new)
// takes: 30 s
// Drivers of devices without an IOMMU, by the addresses that the memory really has.
import { afterAll, expect, test } from "bun:test";
import { ptr } from "bun:ffi";
import { closeSync, openSync, readSync } from "node:fs";
import { Nvme } from "../../../examples/nvme/nvme.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { refusal } from "../../support/refusal.ts";
import { open, ways } from "./support/apis.ts";
import { ownDescriptors, take } from "./support/devices.ts";
import { page } from "./support/rules.ts";

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));
const way = ways[0]!;

/** What the kernel says of this process's pages: proc_pid_pagemap(5). @returns the physical address of a page that is there */
function physicalOf(hva: number): number {
  const fd = openSync("/proc/self/pagemap", "r");
  const entry = new BigUint64Array(1);
  readSync(fd, new Uint8Array(entry.buffer), 0, 8, (hva / page) * 8);
  closeSync(fd);
  expect(entry[0]! >> 63n).toBe(1n);
  return Number(entry[0]! & ((1n << 55n) - 1n)) * page;
}

test("nothing is opened by itself though the device has a node as any other; what is asked for has no IOVAs", () => {
  const bdf = take("edu");
  const refused = expect.objectContaining({
    code: "EPERM",
    hint: expect.stringContaining("can read and write all memory"),
  });
  expect(() => openDevice(bdf)).toThrow(refused);
  expect(() => openDevice(bdf, { api: "iommufd" })).toThrow(refused);
  using device = open(bdf, way);
  expect(device.explain.at(-1)).toStartWith(
    "noiommu: possible, with /dev/iommu and /dev/vfio/devices/noiommu-vfio",
  );
  expect([device.dma, device.iommu, typeof device.physical]).toEqual([undefined, undefined, "object"]);
});

test("each page of a buffer is where the kernel says that it is", () => {
  using device = open(take("edu"), way);
  using buffer = device.physical!.allocate(300 * page, { label: "buffer" });
  const hva = Number(ptr(buffer.bytes));
  for (let at = 0; at < buffer.size; at += page) {
    buffer.bytes[at] = 1;
    expect(buffer.addressAt(at)).toBe(physicalOf(hva + at));
    expect(buffer.addressAt(at + page - 1)).toBe(physicalOf(hva + at) + page - 1);
  }
  expect(buffer.pieces.reduce((sum, { size }) => sum + size, 0)).toBe(buffer.size);
  for (const offset of [-1, buffer.size, 0.5, NaN])
    expect(() => buffer.addressAt(offset)).toThrow(RangeError);
  buffer[Symbol.dispose]();
  expect(refusal(() => buffer.addressAt(0)).code).toBe("ECLOSED");
});

test("a driver of the examples reads and writes by them, and it is on the disk", async () => {
  using nvme = await Nvme.open(take("nvme"), way.options);
  expect(nvme.device.api).toBe("noiommu");
  expect(nvme.identify).toMatchObject({ model: "QEMU NVMe Ctrl", blockSize: 512 });
  for (const [n, blocks] of [1, 8, 9, 17, 255, 2000].entries()) {
    const bytes = Uint8Array.from({ length: blocks * 512 }, (_, i) => (i * 31 + (i >>> 8) * 17 + n) & 0xff);
    await nvme.write(4000 * n, bytes);
    expect(Buffer.compare(await nvme.read(4000 * n, blocks), bytes)).toBe(0);
    const disk = new Uint8Array(bytes.length);
    const fd = openSync("/out/disk-nvme.img", "r");
    readSync(fd, disk, 0, disk.length, 4000 * n * 512);
    closeSync(fd);
    expect(Buffer.compare(disk, bytes)).toBe(0);
  }
});
