import { describe, expect, test } from "bun:test";
import { openDevice } from "../../../../src/device/backends/kernel/open-device.ts";
import { fakeHost } from "./fake-host.ts";

describe("openDevice", () => {
  test("refuses what is no BDF and no token before it looks at anything", () => {
    expect(() => openDevice("nvme0")).toThrow(RangeError);
    expect(() => openDevice("01:00.0", { vfToken: "x" })).toThrow(RangeError);
  });
  test("says what is missing on a host without VFIO", () => {
    using host = fakeHost();
    for (const api of ["auto", "group", "iommufd", "iommufd-compat", "noiommu"] as const)
      expect(() => openDevice("01:00.0", { api, host: host.files })).toThrow(
        expect.objectContaining({ code: "ENOENT" }),
      );
  });
});
