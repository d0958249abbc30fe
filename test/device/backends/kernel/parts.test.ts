// The parts of a kernel device that need no kernel.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { hotResetReport } from "../../../../src/device/backends/kernel/hot-reset.ts";
import { DeviceNotices } from "../../../../src/device/backends/kernel/device-notices.ts";
import { readFacts } from "../../../../src/device/backends/kernel/device-info.ts";
import { readFeatures } from "../../../../src/device/backends/kernel/features.ts";
import { toRanges } from "../../../../src/device/backends/kernel/iova-ranges.ts";
import { loopBack } from "../../../../src/device/backends/kernel/interrupt-self-test.ts";
import { resetMethods, setResetMethods } from "../../../../src/device/backends/kernel/reset-methods.ts";
import { SharedLife } from "../../../../src/device/backends/kernel/shared-lifetime.ts";
import { checkToken, tokenBytes } from "../../../../src/device/backends/kernel/vf-token.ts";
import { waitAlive } from "../../../../src/device/backends/kernel/wait-ready.ts";
import { openDevice } from "../../../../src/device/backends/kernel/open-device.ts";
import { CountedBackend } from "../../../../src/device/seam/counted-backend.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { vfioRequest } from "../../../../src/regs/ioctl/index.ts";
import { syntheticImage } from "../../../support/synthetic-image.ts";
import { fakeIoctl } from "../../../support/fake-ioctl.ts";
import { fakeHost } from "./fake-host.ts";

const recorded = (): RecordedDevice =>
  new RecordedDevice(
    syntheticImage({
      bars: { 0: { size: 0x20000 } },
      msix: { vectors: 4, table: [0, 0x10000], pba: [0, 0x18000] },
    }),
  );

describe("loop-back", () => {
  test("raises every vector of every interrupt that the device has", () => {
    using device = recorded();
    const results = loopBack(device);
    expect(results.find(({ name }) => name === "MSIX")).toEqual({
      index: 2,
      name: "MSIX",
      vectors: 4,
      tried: 4,
      problems: [],
    });
    expect(results.every(({ problems }) => problems.length === 0)).toBe(true);
    expect(loopBack(device, 2).find(({ name }) => name === "MSIX")).toMatchObject({ vectors: 4, tried: 2 });
    expect(() => loopBack(device, 0)).toThrow(RangeError);
  });

  test("tells a vector that does not arrive from one that arrives elsewhere, and a refusal", () => {
    class Wrong extends CountedBackend {
      override setIrqs(request: Parameters<CountedBackend["setIrqs"]>[0]): void {
        if (request.data.kind !== "bool" || request.index !== IrqIndex.msix) return super.setIrqs(request);
        if (request.start === 3) throw new Error("refused");
        super.setIrqs({ ...request, start: request.start === 1 ? 2 : request.start });
      }
    }
    using device = new Wrong(recorded());
    expect(loopBack(device).find(({ name }) => name === "MSIX")!.problems).toEqual([
      "vector 1 does not arrive",
      "vector 1 arrives at 2",
      "refused",
    ]);
    // All off again, or the next test would find MSI-X on.
    device.setIrqs({
      index: IrqIndex.msix,
      action: "trigger",
      start: 0,
      data: { kind: "eventfd", fds: [-1] },
    });
  });
});

describe("notices", () => {
  test("of one listener and another; the last one takes the eventfd away", async () => {
    using device = recorded();
    using notices = new DeviceNotices(device);
    let heard = 0;
    const arrived = async (count: number): Promise<void> => {
      for (let i = 0; i < 500 && heard < count; i++) await Bun.sleep(2);
      expect(heard).toBe(count);
    };
    const count = (): void => void heard++;
    const first = notices.on("remove-requested", count, {});
    const second = notices.on("remove-requested", count, {});
    expect(device.raise(IrqIndex.request, 0)).toBe(true);
    await arrived(2);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    device.raise(IrqIndex.request, 0);
    await arrived(3);
    second[Symbol.dispose]();
    expect(device.raise(IrqIndex.request, 0)).toBe(false);
  });

  test("of a device that has none", () => {
    using device = new RecordedDevice(syntheticImage({ bars: {} }));
    using notices = new DeviceNotices(new CountedBackendWithout(device));
    expect(() => notices.on("error", () => {}, {})).toThrow(expect.objectContaining({ code: "EOPNOTSUPP" }));
    expect(() => notices.on("unplugged" as "error", () => {}, {})).toThrow(RangeError);
  });
});

class CountedBackendWithout extends CountedBackend {
  override get irqs(): [] {
    return [];
  }
}

describe("waiting for a device", () => {
  test("ends when it answers, and gives up in time", () => {
    const answers = [undefined, 0xffff_ffff, 0x0108_0201];
    waitAlive("0000:01:00.0", () => answers.shift(), 1000);
    expect(answers).toEqual([]);
    let asked = 0;
    expect(() => waitAlive("0000:01:00.0", () => (asked++, 0xffff_ffff), 5)).toThrow(
      expect.objectContaining({
        code: "ETIMEDOUT",
        message: "0000:01:00.0: does not answer 5 ms after its reset",
      }),
    );
    expect(asked).toBe(4);
  });
});

describe("what users share", () => {
  test("ends once, when its owner has let go and the last user has left, in either order", () => {
    for (const ownerFirst of [true, false]) {
      let ended = 0;
      const life = new SharedLife(
        () => "thing",
        () => ended++,
      );
      const leave = life.enter();
      const leaveToo = life.enter();
      const steps = [() => life.release(), leave, leave, leaveToo, () => life.release()];
      if (!ownerFirst) steps.push(steps.shift()!);
      for (const step of steps.slice(0, -1)) step();
      if (ownerFirst) expect(() => life.enter()).toThrow("thing is closed");
      steps.at(-1)!();
      expect(ended).toBe(1);
    }
  });
});

test("ranges: below 2^53, ascending", () => {
  expect(
    toRanges([
      { first: 0xfef00000n, last: 2n ** 64n - 1n },
      { first: 0n, last: 0xfedfffffn },
      { first: 2n ** 60n, last: 2n ** 61n },
    ]),
  ).toEqual([
    { base: 0, size: 0xfee00000 },
    { base: 0xfef00000, size: Number.MAX_SAFE_INTEGER - 0xfef00000 },
  ]);
});

test("VF tokens: bytes in the order of the text; what is none is refused, and not repeated", () => {
  expect([...tokenBytes("00112233-4455-6677-8899-AABBCCDDEEFF")]).toEqual([
    0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
  ]);
  expect(() => checkToken("hunter2")).toThrow(/^a VF token is a UUID, as/);
  expect(() => checkToken(5 as never)).toThrow(TypeError);
});

test("reset methods are read and chosen in sysfs", () => {
  using host = fakeHost();
  host.device("0000:01:00.0", { resetMethod: "flr pm bus" });
  host.device("0000:02:00.0", {});
  expect(resetMethods(host.files, "0000:01:00.0")).toEqual(["flr", "pm", "bus"]);
  expect(resetMethods(host.files, "0000:02:00.0")).toEqual([]);
  setResetMethods(host.files, "0000:01:00.0", ["pm", "flr"]);
  expect(readFileSync(`${host.files.at("/sys")}/bus/pci/devices/0000:01:00.0/reset_method`, "utf8")).toBe(
    "pm flr\n",
  );
  expect(() => setResetMethods(host.files, "0000:01:00.0", ["a/b"])).toThrow(RangeError);
  expect(() => setResetMethods(host.files, "0000:03:00.0", ["flr"])).toThrow(
    expect.objectContaining({
      code: "ENOENT",
      device: "0000:03:00.0",
      hint: expect.stringContaining("nothing"),
    }),
  );
});

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
