import { expect, test } from "bun:test";
import { exportDmaBuf } from "../../src/ffi/vfio-dma-buf.ts";
import { vfioRequest } from "../../src/regs/ioctl/vfio-requests.ts";
import { fakeIoctl } from "../support/fake-ioctl.ts";
import { refusal } from "../support/refusal.ts";

test("a dma-buf is asked for by region and area, and its descriptor is what the kernel returns", () => {
  using kernel = fakeIoctl(() => 42);
  expect(exportDmaBuf(3, 2, { offset: 0x1000, size: 2 ** 33 })).toBe(42);
  const [asked] = kernel.asked;
  expect(asked!.request).toBe(vfioRequest.DEVICE_FEATURE);
  const words = new DataView(asked!.bytes!.buffer);
  const u32 = (at: number): number => words.getUint32(at, true);
  // argsz, GET | DMA_BUF; region, O_RDWR | O_CLOEXEC, flags, one range.
  expect([u32(0), u32(4)]).toEqual([40, 0x1000b]);
  expect([u32(8), u32(12), u32(16), u32(20)]).toEqual([2, 0o2000002, 0, 1]);
  expect([words.getBigUint64(24, true), words.getBigUint64(32, true)]).toEqual([0x1000n, 2n ** 33n]);
});

test("a kernel that has none says so", () => {
  using _ = fakeIoctl(() => -25);
  const error = refusal(() => exportDmaBuf(3, 0, { offset: 0, size: 4096 }, { device: "0000:01:00.0" }));
  expect([error.code, error.message]).toEqual(["ENOTTY", expect.stringContaining("DMA_BUF")]);
});
