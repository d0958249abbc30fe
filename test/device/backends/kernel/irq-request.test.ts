import { expect, test } from "bun:test";
import { IrqIndex, type IrqRequest } from "../../../../src/regs/vfio/irqs.ts";
import { requestIrqs } from "../../../../src/device/backends/kernel/irq-request.ts";
import { IrqSetBuffer } from "../../../../src/ffi/vfio-irqs.ts";
import { absentIrq } from "../../../../src/regs/vfio/irqs.ts";
import { fakeIoctl } from "../../../support/fake-ioctl.ts";
import { fakeHost } from "./fake-host.ts";

const bdf = "0000:01:00.0";
const irqs = Array.from({ length: 5 }, (_, index) => ({
  ...absentIrq(index),
  count: index === IrqIndex.msix ? 4 : 0,
}));
const none = (index: number, start: number, count: number): IrqRequest => ({
  index,
  action: "trigger",
  start,
  data: { kind: "none", count },
});

/** What becomes of a request to a device whose descriptor is not open: past the check, the kernel says EBADF. */
function codeOf(request: IrqRequest): unknown {
  using host = fakeHost();
  try {
    requestIrqs({ fd: 2 ** 20, bdf, host: host.files, irqs }, request, new IrqSetBuffer(4));
  } catch (error) {
    return error;
  }
  return undefined;
}

test("vectors that the device has not are refused before the kernel is asked, with how many there are", () => {
  for (const [start, count] of [
    [0, 5],
    [3, 2],
    [4, 0],
    [5, 1],
  ] as const)
    expect(codeOf(none(IrqIndex.msix, start, count))).toMatchObject({
      code: "EINVAL",
      device: bdf,
      message: expect.stringMatching(
        /MSIX trigger none start \d count \d fails with EINVAL: it has 4 of these$/,
      ),
    });
  expect(codeOf(none(IrqIndex.msi, 0, 0))).toMatchObject({
    message: expect.stringContaining("it has 0 of these"),
  });
  expect(codeOf(none(9, 0, 1))).toMatchObject({ code: "EINVAL" });
});

test("those that it has go to the kernel, as does taking all away", () => {
  for (const [start, count] of [
    [0, 4],
    [3, 1],
    [0, 0],
  ] as const)
    expect(codeOf(none(IrqIndex.msix, start, count))).toMatchObject({
      code: "EBADF",
      hint: "A descriptor is not open.",
    });
});

test("a kernel that has fewer than asked for says how many, and so does the error", () => {
  using _kernel = fakeIoctl(() => 3);
  expect(
    codeOf({ ...none(IrqIndex.msix, 0, 0), data: { kind: "eventfd", fds: [-1, -1, -1, -1] } }),
  ).toMatchObject({
    code: "ENOSPC",
    available: 3,
    message: expect.stringContaining("the host has 3 vectors left"),
  });
});
