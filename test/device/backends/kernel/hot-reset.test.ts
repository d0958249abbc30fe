import { describe, expect, test } from "bun:test";
import { hotResetReport } from "../../../../src/device/backends/kernel/hot-reset.ts";
import { fakeIoctl } from "../../../support/fake-ioctl.ts";
import { fakeHost } from "./fake-host.ts";

describe("a hot reset", () => {
  const bdf = "0000:01:00.0";
  /** Two functions on the bus: the device in group 12, another in group 13. */
  const answer: Parameters<typeof fakeIoctl>[0] = (_, memory) => {
    memory.setUint32(8, 2, true);
    for (const [index, group] of [12, 13].entries()) {
      memory.setUint32(12 + 8 * index, group, true);
      memory.setUint16(16 + 8 * index, 0, true);
      memory.setUint8(18 + 8 * index, 1);
      memory.setUint8(19 + 8 * index, index);
    }
    return 0;
  };

  test("names each function that is not ours, and why", () => {
    using host = fakeHost();
    host.device(bdf, { driver: "vfio-pci", group: 12 });
    host.device("0000:01:00.1", { driver: "nvme", group: 13 });
    using _kernel = fakeIoctl(answer);
    const container = { groups: [{ number: 12 }] } as never;
    const report = hotResetReport({ fd: 5, bdf, host: host.files, container });
    expect(report).toEqual({
      possible: false,
      devices: [
        { bdf, group: 12, driver: "vfio-pci", ours: true },
        { bdf: "0000:01:00.1", group: 13, driver: "nvme", ours: false },
      ],
      problems: ["0000:01:00.1 is bound to nvme: bind it to vfio-pci too."],
    });
    const both = { groups: [{ number: 12 }, { number: 13 }] } as never;
    using other = fakeHost();
    other.device(bdf, { driver: "vfio-pci", group: 12 });
    other.device("0000:01:00.1", { driver: "vfio-pci", group: 13 });
    expect(hotResetReport({ fd: 5, bdf, host: other.files, container }).problems).toEqual([
      "0000:01:00.1 is in group 13, which is not in this container: open a device of it there.",
    ]);
    expect(hotResetReport({ fd: 5, bdf, host: other.files, container: both }).possible).toBe(true);
  });

  test("that the bus cannot do is a report, not an error", () => {
    using _kernel = fakeIoctl(() => -19);
    using host = fakeHost();
    expect(hotResetReport({ fd: 5, bdf, host: host.files, container: undefined })).toMatchObject({
      possible: false,
      devices: [],
    });
  });
});
