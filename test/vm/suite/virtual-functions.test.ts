// machines: intel (virtio, none, intel-old, intel-new, none-new, arm)
// Virtual functions of igb, whose physical function is used through VFIO too: each wants the token that was set.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import type { VfioError } from "../../../src/ffi/errors.ts";
import type { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import { hasIommu, ownDescriptors, take } from "./support/devices.ts";
import { ways } from "./support/apis.ts";
import { page, takesTokenByCdev } from "./support/rules.ts";
import { token, virtualFunction, type VirtualFunction } from "./support/virtual-function.ts";

const wrong = "00112233-4455-6677-8899-aabbccddee00";
const before = ownDescriptors();
let made: VirtualFunction;
let virtual: string;
let physical: KernelDevice;

beforeAll(() => {
  made = virtualFunction();
  ({ bdf: virtual, physical } = made);
  expect(physical.features().vfToken).toEqual({ get: false, set: true });
});
afterAll(() => {
  made[Symbol.dispose]();
  expect(ownDescriptors()).toEqual(before);
});

/** What a call throws; what it opens by mistake is closed again. */
function failure(call: () => KernelDevice): VfioError {
  try {
    call()[Symbol.dispose]();
  } catch (error) {
    return error as VfioError;
  }
  throw new Error("it did not fail");
}

function use(device: KernelDevice): void {
  expect(device.regions[0]!.size).toBe(0x4000);
  expect(device.irqs[2]!.count).toBe(3);
  expect(device.selfTest().filter(({ problems }) => problems.length > 0)).toEqual([]);
  device.reset();
  using mapping = device.map(3, { offset: 0, size: page });
  expect(mapping.size).toBe(page);
}

for (const way of ways)
  describe(way.name, () => {
    if (way.api === "iommufd")
      test("where a token is given, the group is chosen, which takes it", () => {
        using device = openDevice(virtual, { vfToken: token });
        expect(device.api).toBe("group");
        use(device);
      });
    if (way.api === "iommufd" && !takesTokenByCdev) {
      test("a cdev of this kernel wants no token, and refuses one", () => {
        using device = openDevice(virtual, way.options);
        use(device);
        device[Symbol.dispose]();
        expect(failure(() => openDevice(virtual, { ...way.options, vfToken: token }))).toMatchObject({
          code: "EINVAL",
          hint: expect.stringContaining("Linux 6.18"),
        });
      });
      return;
    }
    test("without the token, or with a wrong one, it is refused, and the message says whose it is", () => {
      expect(failure(() => openDevice(virtual, way.options))).toMatchObject({
        code: "EACCES",
        hint: expect.stringContaining(physical.name),
      });
      expect(failure(() => openDevice(virtual, { ...way.options, vfToken: wrong }))).toMatchObject({
        code: "EACCES",
        hint: expect.stringContaining("not the VF token"),
      });
    });
    test("with the token it is described, interrupted, mapped, reset and closed", () => {
      using device = openDevice(virtual, { ...way.options, vfToken: token });
      use(device);
    });
  });

if (hasIommu)
  test("a token where none is wanted is refused, with the reason", () => {
    expect(() => openDevice(take("edu"), { api: "group", vfToken: token })).toThrow(
      expect.objectContaining({ code: "EINVAL", hint: expect.stringContaining("needs none") }),
    );
  });
