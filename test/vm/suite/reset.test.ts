// machines: intel (none) [intel-old, arm]
// Resets: of the function, of the bus, how, and what is left of the device afterwards.
import { afterAll, describe, expect, test } from "bun:test";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { ownDescriptors, take } from "./support/devices.ts";
import { open, sharedBy, ways } from "./support/apis.ts";

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

describe("the function", () => {
  test("is reset by the methods that are chosen, in their order", () => {
    using device = open(take("igb"), ways[0]!);
    expect(device.resetMethods).toEqual(["flr", "pm", "bus"]);
    for (const methods of [["pm"], ["pm", "flr"], ["flr"]]) {
      device.resetMethods = methods;
      expect(device.resetMethods).toEqual(methods);
      device.reset();
    }
    device.resetMethods = ["default"];
    expect(device.resetMethods).toEqual(["flr", "pm", "bus"]);
    expect(() => (device.resetMethods = ["af_flr"])).toThrow(
      expect.objectContaining({ code: "EINVAL", hint: expect.stringContaining("flr, pm, bus") }),
    );
    expect(() => (device.resetMethods = ["../x"])).toThrow(RangeError);
    device.reset();
  });

  test("forgets what was written to the device", () => {
    using device = open(take("edu"), ways[0]!);
    device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
    const liveness = new Uint8Array(new ArrayBuffer(4));
    device.write(0, 4, Uint8Array.of(1, 2, 3, 4));
    device.read(0, 4, liveness);
    expect([...liveness]).toEqual([0xfe, 0xfd, 0xfc, 0xfb]);
    device.reset();
    device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
    device.read(0, 0, liveness);
    expect([...liveness]).toEqual([0xed, 0, 0, 1]);
  });

  test("cannot be reset where it has no method, and the error says what there is", () => {
    const bdf = take("edu");
    {
      using device = open(bdf, ways[0]!);
      device.resetMethods = [];
    }
    {
      using device = open(bdf, ways[0]!);
      expect(device.resettable).toBe(false);
      expect(() => device.reset()).toThrow(
        expect.objectContaining({
          code: "EINVAL",
          request: "VFIO_DEVICE_RESET",
          hint: expect.stringContaining("none"),
        }),
      );
      device.resetMethods = ["default"];
    }
  });
});

describe("the bus", () => {
  for (const way of ways)
    test(`${way.name}: a hot reset reaches what the report says`, () => {
      const bdf = take("xhci");
      using shared = sharedBy(way);
      using device = openDevice(bdf, { iommu: shared });
      const report = device.hotResetReport();
      expect(report).toMatchObject({ possible: true, problems: [] });
      expect(report.devices).toEqual([expect.objectContaining({ bdf, driver: "vfio-pci", ours: true })]);
      device.hotReset();
      const id = new Uint8Array(new ArrayBuffer(4));
      device.read(RegionIndex.config, 8, id);
      expect([...id.subarray(1)]).toEqual([0x30, 0x03, 0x0c]);
    });
});
