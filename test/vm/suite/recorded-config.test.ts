// machines: (intel, intel-new) [arm]
// takes: 50 s
// A recording behaves as the device that it was made of does behind Linux's vfio-pci. A difference is a fault of the model,
// of the recorder, or of a register map that does not say of a register that it changes by itself.
import { afterAll, describe, expect, test } from "bun:test";
import type { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { ConfigLockstep } from "./support/config-lockstep.ts";
import { deviceNames, ownDescriptors, type DeviceName } from "./support/devices.ts";
import { openBoth, seed } from "./support/lockstep.ts";

const accesses = 20_000;

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

describe.each(deviceNames)("%s", (name) => {
  test("regions, interrupts and resets are as sysfs lets expect", () => {
    using both = openBoth(name);
    const { kernel, recorded } = both;
    const shown = ({
      index,
      size,
      readable,
      writable,
      mappable,
      msixMappable,
    }: RecordedDevice["regions"][number]) =>
      size === 0 ? [index] : [index, size, readable, writable, mappable, msixMappable];
    expect(recorded.regions.map(shown)).toEqual(kernel.regions.map(shown));
    expect(recorded.irqs).toEqual(kernel.irqs);
    expect(recorded.resettable).toBe(kernel.resettable);
  });

  test("config space is the same once opened", () => {
    using both = openBoth(name);
    const lockstep = new ConfigLockstep(both);
    lockstep.all();
    expect(lockstep.differences).toEqual([]);
  });

  test("each dword takes the same of ones, zeros and what it held", () => {
    using both = openBoth(name);
    const lockstep = new ConfigLockstep(both);
    lockstep.eachDword();
    expect(lockstep.differences).toEqual([]);
  });

  test(`${accesses} config accesses from seed ${seed}`, () => {
    using both = openBoth(name);
    const lockstep = new ConfigLockstep(both);
    lockstep.random(seed, accesses);
    expect(lockstep.differences).toEqual([]);
  });
});

describe("a false recording is found out:", () => {
  const recordings: [what: string, DeviceName, Parameters<typeof openBoth>[1]][] = [
    [
      "of a bit that the device keeps",
      "nvme",
      (one) => ({ ...one, readOnlyBits: one.readOnlyBits!.slice(1) }),
    ],
    ["of bytes that it stores", "edu", (one) => ({ ...one, writable: [] })],
    ["of what a reset leaves", "igb", (one) => ({ ...one, keptByReset: [] })],
    [
      "of one bit of a capability",
      "e1000e",
      (one) => ({ ...one, config: one.config.with(0xe4, one.config[0xe4]! ^ 1) }),
    ],
  ];
  test.each(recordings)("%s", (_, name, change) => {
    using both = openBoth(name, change);
    const lockstep = new ConfigLockstep(both);
    lockstep.random(seed, 4_000);
    expect(lockstep.differences).not.toEqual([]);
  });
});
