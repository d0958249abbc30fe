// machines: intel (virtio, none, none-new, intel-old)
// takes: 15 s
// What goes wrong for people, caused for real: the message must name the culprit and the next step.
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { Container } from "../../../src/device/backends/kernel/container.ts";
import { Ioas } from "../../../src/device/backends/kernel/ioas.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import type { VfioError } from "../../../src/ffi/errors.ts";
import { bindTo, hasIommu, ownDescriptors, sysDevices, take } from "./support/devices.ts";
import { open, sharedBy, ways, type Way } from "./support/apis.ts";
import { holder } from "./support/holder.ts";
import { hasIommufd, hasNoIommuCdevs, page } from "./support/rules.ts";

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

/** What a call throws. */
function failure(call: () => unknown): VfioError {
  try {
    call();
  } catch (error) {
    return error as VfioError;
  }
  throw new Error("it did not fail");
}

/** The kernel's own word for a device that is held: for a cdev, which from Linux 7.3 on a device without IOMMU has too, it is EINVAL. */
const heldCode = ({ api }: Way): string =>
  api === "iommufd" || (api === "noiommu" && hasNoIommuCdevs) ? "EINVAL" : "EBUSY";

for (const way of ways)
  describe(way.name, () => {
    test("a device that another process holds: who; and once that is killed, it can be opened", async () => {
      const bdf = take("edu");
      const other = await holder(bdf, way.api);
      const error = failure(() => open(bdf, way));
      await other.end();
      expect(error).toMatchObject({
        code: heldCode(way),
        hint: expect.stringContaining(`(pid ${other.pid})`),
      });
      expect(error.message).toContain(bdf);
      open(bdf, way)[Symbol.dispose]();
    });

    test("a device that this process holds itself", () => {
      const bdf = take("edu");
      using _device = open(bdf, way);
      expect(failure(() => open(bdf, way))).toMatchObject({
        code: heldCode(way),
        hint: expect.stringContaining("this process"),
      });
    });

    test("a device of another driver: which, and the commands", () => {
      const bdf = take("virtio-blk");
      bindTo(bdf, "virtio-pci");
      const error = failure(() => open(bdf, way));
      bindTo(bdf, "vfio-pci");
      expect(["ENOENT", "ENODEV", "EPERM"]).toContain(error.code);
      expect(error.hint).toContain("virtio-pci");
      expect(error.hint).toContain(`echo ${bdf} > /sys/bus/pci/drivers_probe`);
    });

    test("no such device, and what is none", () => {
      expect(failure(() => openDevice("0000:7f:00.0", way.options)).hint).toContain("There is no PCI device");
      expect(failure(() => openDevice("nvme0", way.options))).toBeInstanceOf(RangeError);
    });

    test("a BAR without memory decoding: EIO and the way out, and no SIGBUS", () => {
      using device = open(take("edu"), way);
      device.write(RegionIndex.config, 4, Uint8Array.of(0, 0));
      const bytes = new Uint8Array(new ArrayBuffer(4));
      for (const access of [() => device.read(0, 0, bytes), () => device.write(0, 0, bytes)])
        expect(failure(access)).toMatchObject({
          code: "EIO",
          device: device.name,
          hint: expect.stringContaining("Memory decoding is off"),
        });
      device.write(RegionIndex.config, 4, Uint8Array.of(2, 0));
      device.read(0, 0, bytes);
      expect([...bytes]).toEqual([0xed, 0, 0, 1]);
    });

    test("accesses outside of a region, and of regions that are not there", () => {
      using device = open(take("edu"), way);
      const bytes = new Uint8Array(new ArrayBuffer(4));
      expect(failure(() => device.read(0, 0x100000, bytes)).code).toBe("EINVAL");
      expect(failure(() => device.read(RegionIndex.config, 254, bytes)).code).toBe("EFAULT");
      expect(failure(() => device.read(0, 2 ** 40, bytes)).code).toBe("EINVAL");
      expect(failure(() => device.read(5, 0, bytes)).code).toBe("EINVAL");
      expect(failure(() => device.read(200, 0, bytes)).code).toBe("EINVAL");
      expect(failure(() => device.map(0, { offset: 0x100000, size: page })).code).toBe("EINVAL");
      expect(failure(() => device.map(7, { offset: 0, size: page })).code).toBe("EINVAL");
    });

    test("everything after close", () => {
      const device = open(take("edu"), way);
      device[Symbol.dispose]();
      for (const call of [
        () => device.read(0, 0, new Uint8Array(4)),
        () => device.write(0, 0, new Uint8Array(4)),
        () => device.map(0, { offset: 0, size: page }),
        () => device.setIrqs({ index: 0, action: "trigger", start: 0, data: { kind: "none", count: 0 } }),
        () => device.reset(),
        () => device.hotReset(),
        () => device.features(),
        () => device.probeFeature(0),
        () => device.fd,
      ])
        expect(failure(call).code).toBe("ECLOSED");
    });

    test("options that contradict each other", () => {
      using shared = sharedBy(way);
      const other = way.api === "iommufd" ? "group" : "iommufd";
      expect(failure(() => openDevice(take("edu"), { iommu: shared, api: other }))).toBeInstanceOf(
        RangeError,
      );
      expect(
        failure(() => openDevice(take("edu"), { ...way.options, vfToken: "secret" })).message,
      ).not.toContain("secret");
    });
  });

if (hasIommu) {
  test("a group that a host driver blocks: by whom, what of it is fine, and the commands", () => {
    // The host's own controllers share a group with the file systems of this machine.
    const smbus = readdirSync(sysDevices).find(
      (bdf) => readFileSync(`${sysDevices}/${bdf}/class`, "utf8").trim() === "0x0c0500",
    )!;
    bindTo(smbus, "vfio-pci");
    const error = failure(() => openDevice(smbus, { api: "group" }));
    const byCdev = hasIommufd ? failure(() => openDevice(smbus, { api: "iommufd" })) : error;
    bindTo(smbus, undefined);
    expect(error).toMatchObject({ code: "EPERM", message: expect.stringContaining("is not viable") });
    for (const { hint } of [error, byCdev]) {
      expect(hint).toContain("0000:00:1f.7 (virtio-pci)");
      expect(hint).toContain(`fine: `);
      expect(hint).toContain("echo vfio-pci > /sys/bus/pci/devices/0000:00:1f.7/driver_override");
    }
  });

  test("the choice is the cdev where there is one, and says why", () => {
    using device = openDevice(take("edu"));
    const first = hasIommufd ? "iommufd" : "group";
    expect(device.api).toBe(first);
    expect(device.explain[0]).toBe(`${first}: chosen, the first that is possible`);
    const line = (start: string): boolean => device.explain.some((one) => one.startsWith(start));
    expect(line("group: possible, with /dev/vfio/vfio")).toBe(true);
    expect(line("iommufd: possible, with /dev/iommu")).toBe(hasIommufd);
    expect(device.explain.some((line) => line.startsWith("noiommu: no, "))).toBe(true);
  });
} else {
  test("without an IOMMU nothing is chosen by itself, and the error says what that would mean", () => {
    expect(failure(() => openDevice(take("edu")))).toMatchObject({
      code: "EPERM",
      hint: expect.stringContaining("can read and write all memory"),
    });
  });
  test("without an IOMMU the device goes into no container that maps", () => {
    using container = Container.open({ iommu: "noiommu" });
    expect(
      failure(() => container.map({ iova: 0, size: page, hva: 0, readable: true, writable: true })).code,
    ).toBe("EOPNOTSUPP");
    using ioas = Ioas.open();
    expect(failure(() => openDevice(take("edu"), { iommu: ioas })).code).toBe("EPERM");
  });
}
