import { describe, expect, test } from "bun:test";
import { readFacts } from "../../../../src/device/backends/kernel/device-info.ts";
import { readFeatures } from "../../../../src/device/backends/kernel/features.ts";
import { vfioRequest } from "../../../../src/regs/ioctl/index.ts";
import { fakeIoctl } from "../../../support/fake-ioctl.ts";

describe("what a device says of itself", () => {
  test("regions and interrupts that are not there are absent; any other failure is one", () => {
    const kernel =
      (errno: number): Parameters<typeof fakeIoctl>[0] =>
      ({ request }, memory) => {
        if (request !== vfioRequest.DEVICE_GET_INFO) return -errno;
        memory.setUint32(8, 9, true);
        memory.setUint32(12, 5, true);
        return 0;
      };
    {
      using _kernel = fakeIoctl(kernel(22));
      const { regions, irqs } = readFacts(5, "0000:01:00.0");
      expect([regions.length, irqs.length]).toEqual([9, 5]);
      expect([...regions, ...irqs].every((one) => ("size" in one ? one.size : one.count) === 0)).toBe(true);
    }
    using _kernel = fakeIoctl(kernel(19));
    expect(() => readFacts(5, "0000:01:00.0")).toThrow("VFIO_DEVICE_GET_REGION_INFO BAR0 fails with ENODEV");
  });

  test("more indexes than a device can have", () => {
    using _kernel = fakeIoctl((_, memory) => (memory.setUint32(8, 0xffff_ffff, true), 0));
    expect(() => readFacts(5, "0000:01:00.0")).toThrow(expect.objectContaining({ code: "EBADINFO" }));
  });

  test("features, with what migration can do", () => {
    using _kernel = fakeIoctl((_, memory) => {
      const flags = memory.getUint32(4, true);
      if ((flags & 0xffff) !== 1) return -25;
      if (flags & 0x20000) return -22;
      if (!(flags & 0x40000)) memory.setBigUint64(8, 5n, true);
      return 0;
    });
    const report = readFeatures(5, "0000:01:00.0");
    expect(report.migration).toEqual({
      get: true,
      set: false,
      stopCopy: true,
      peerToPeer: false,
      preCopy: true,
    });
    expect(report.vfToken).toBeUndefined();
    expect(report.dmaBuf).toBeUndefined();
  });
});
