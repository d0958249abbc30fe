import { describe, expect, test } from "bun:test";
import { closeSync, openSync } from "node:fs";
import { addressOf, exact, flagNames, ioctl, ioctlOrErrno, valueName } from "../../src/ffi/ioctl.ts";
import { vfioDmaMapFlag, vfioIommuType, vfioRequest } from "../../src/regs/ioctl/index.ts";
import { fakeIoctl } from "../support/fake-ioctl.ts";
import { refusal } from "../support/refusal.ts";

const struct = (): Uint8Array => new Uint8Array(new ArrayBuffer(8));

describe("ioctl", () => {
  test("a result is handed on; a struct and a number take their own ways", () => {
    using kernel = fakeIoctl(() => 7);
    expect(ioctl(3, vfioRequest.DEVICE_RESET, 5, { request: "VFIO_DEVICE_RESET" })).toBe(7);
    expect(ioctl(3, vfioRequest.DEVICE_RESET, struct(), { request: "VFIO_DEVICE_RESET" })).toBe(7);
    expect(kernel.asked).toEqual([
      { fd: 3, request: 0x3b6f, bytes: undefined, number: 5 },
      { fd: 3, request: 0x3b6f, bytes: new Uint8Array(8), number: undefined },
    ]);
  });

  test("a failure names the errno, the request with its arguments, the device and the next step", () => {
    using _kernel = fakeIoctl(() => -16);
    const what = {
      request: () => "VFIO_DEVICE_SET_IRQS MSIX trigger eventfd start 0 count 4",
      device: "0000:01:00.0",
      hint: (code: string) => `because of ${code}`,
    };
    expect(refusal(() => ioctl(3, vfioRequest.DEVICE_SET_IRQS, struct(), what))).toMatchObject({
      name: "VfioError",
      message: "0000:01:00.0: VFIO_DEVICE_SET_IRQS MSIX trigger eventfd start 0 count 4 fails with EBUSY",
      code: "EBUSY",
      errno: 16,
      syscall: "ioctl",
      request: "VFIO_DEVICE_SET_IRQS MSIX trigger eventfd start 0 count 4",
      device: "0000:01:00.0",
      hint: "because of EBUSY",
    });
  });

  test("a failure that is an answer is minus the errno", () => {
    using _kernel = fakeIoctl(() => -25);
    expect(ioctlOrErrno(3, vfioRequest.DEVICE_FEATURE, struct())).toBe(-25);
  });

  test("the real one: ENOTTY of a file that knows no such request", () => {
    // A file of our own: descriptors 0 to 2 may be anything.
    const fd = openSync("/proc/self/maps", "r");
    expect(refusal(() => ioctl(fd, vfioRequest.DEVICE_RESET, 0, { request: "VFIO_DEVICE_RESET" })).code).toBe(
      "ENOTTY",
    );
    closeSync(fd);
  });
});

test("values above 2^53 - 1 are refused by name, not rounded", () => {
  expect(exact(2n ** 53n - 1n, "size")).toBe(Number.MAX_SAFE_INTEGER);
  expect(refusal(() => exact(2n ** 53n, "the size of a region"))).toMatchObject({
    code: "ERANGE",
    message: "the size of a region is 0x20000000000000, above 2^53 - 1",
  });
});

test("names of values and flags, and numbers where there is none", () => {
  expect(valueName(vfioIommuType, 3)).toBe("TYPE1v2");
  expect(valueName(vfioIommuType, 99)).toBe("99");
  expect(flagNames(vfioDmaMapFlag, 3)).toBe("READ+WRITE");
  expect(flagNames(vfioDmaMapFlag, 0)).toBe("0x0");
});

test("no memory has address 0; what is no memory throws", () => {
  expect(addressOf(new Uint8Array(0))).toBe(0n);
  expect(addressOf(struct())).toBeGreaterThan(0n);
});

test("memory that a struct points to is not collected before the next is pointed to", async () => {
  const point = (): WeakRef<Uint8Array> => {
    const memory = new Uint8Array(new ArrayBuffer(4096));
    addressOf(memory);
    return new WeakRef(memory);
  };
  const alive = async (one: WeakRef<Uint8Array>): Promise<boolean> => {
    await Bun.sleep(1);
    Bun.gc(true);
    return one.deref() !== undefined;
  };
  const rounds = 20;
  let kept = 0;
  let before = 0;
  for (let round = 0; round < rounds; round++) {
    const former = point();
    const last = point();
    if (await alive(last)) kept++;
    if (await alive(former)) before++;
  }
  expect(kept).toBe(rounds);
  expect(before).toBeLessThan(rounds);
});
