import { describe, expect, test } from "bun:test";
import { closeSync, openSync, rmSync } from "node:fs";
import { chooseApi, hasOwnNodeWithoutIommu } from "../../../../src/device/backends/kernel/choose-api.ts";
import { openDevice } from "../../../../src/device/backends/kernel/open-device.ts";
import { fakeHost, type FakeHost } from "./fake-host.ts";

const bdf = "0000:01:00.0";
const vfio = { driver: "vfio-pci", group: 12, vfioDev: "vfio3" };

/** A host with these nodes. */
function host(...nodes: string[]): FakeHost {
  const made = fakeHost();
  made.device(bdf, vfio);
  for (const node of nodes) made.node(node);
  return made;
}

describe("auto", () => {
  test("prefers the cdev, and says why and what else there is", () => {
    using fake = host("iommu", "vfio/vfio", "vfio/12", "vfio/devices/vfio3");
    const { api, explain } = chooseApi(fake.files, bdf, "auto");
    const dev = "/dev";
    expect(api).toBe("iommufd");
    expect(explain).toEqual([
      "iommufd: chosen, the first that is possible",
      `iommufd: possible, with ${dev}/iommu and ${dev}/vfio/devices/vfio3`,
      `group: possible, with ${dev}/vfio/vfio and ${dev}/vfio/12`,
      `iommufd-compat: possible, with ${dev}/iommu and ${dev}/vfio/12`,
      `noiommu: no, ${bdf} has no group without IOMMU`,
    ]);
  });

  test("takes the group where the kernel has no cdev: sysfs names one all the same", () => {
    using fake = host("iommu", "vfio/vfio", "vfio/12");
    const { api, explain } = chooseApi(fake.files, bdf, "auto");
    expect(api).toBe("group");
    expect(explain[1]).toBe(`iommufd: no, ${bdf} has no node in /dev/vfio/devices`);
  });

  test("takes the group where there is no iommufd", () => {
    using fake = host("vfio/vfio", "vfio/12", "vfio/devices/vfio3");
    const { api, explain } = chooseApi(fake.files, bdf, "auto");
    expect([api, explain[1]]).toEqual(["group", `iommufd: no, there is no /dev/iommu`]);
  });

  test("takes the group with an iommufd where there is no container", () => {
    using fake = host("iommu", "vfio/12");
    expect(chooseApi(fake.files, bdf, "auto").api).toBe("iommufd-compat");
  });

  test("takes the group for the sake of a VF token, and says so", () => {
    using fake = host("iommu", "vfio/vfio", "vfio/12", "vfio/devices/vfio3");
    const { api, explain } = chooseApi(fake.files, bdf, "auto", true);
    expect(api).toBe("group");
    expect(explain[1]).toContain("VF token");
  });

  test("never takes noiommu: it says what that means, and how to ask for it", () => {
    using fake = fakeHost();
    fake.device(bdf, { driver: "vfio-pci", group: 0, noiommu: true });
    for (const node of ["vfio/vfio", "vfio/noiommu-0"]) fake.node(node);
    expect(() => chooseApi(fake.files, bdf, "auto")).toThrow(
      expect.objectContaining({
        code: "EPERM",
        hint: 'Without an IOMMU the device can read and write all memory. If it is trusted, ask for it: { api: "noiommu" }.',
      }),
    );
    expect(chooseApi(fake.files, bdf, "noiommu").api).toBe("noiommu");
  });
});

describe("Linux 7.3 without an IOMMU: the device has a node of its own, as one that has an IOMMU", () => {
  const asked = 'If it is trusted, ask for it: { api: "noiommu" }.';
  /** What such a kernel shows: with groups, and built without them (CONFIG_VFIO_GROUP). */
  const kernels: readonly (readonly [name: string, groups: boolean])[] = [
    ["with groups", true],
    ["without groups", false],
  ];
  function kernel(groups: boolean): FakeHost {
    const made = fakeHost();
    made.device(bdf, {
      driver: "vfio-pci",
      vfioDev: "noiommu-vfio0",
      ...(groups && { group: 0, noiommu: true }),
    });
    const nodes = groups ? ["vfio/vfio", "vfio/noiommu-0"] : [];
    for (const node of ["iommu", "vfio/devices/noiommu-vfio0", ...nodes]) made.node(node);
    return made;
  }
  const refused = (act: () => unknown): void =>
    expect(act).toThrow(
      expect.objectContaining({
        code: "EPERM",
        message: expect.stringContaining(`iommufd: no, ${bdf} has no IOMMU`),
        hint: expect.stringContaining(asked),
      }),
    );

  for (const [name, groups] of kernels) {
    test(`${name}: auto takes no way; noiommu is possible, and every other is explained`, () => {
      using fake = kernel(groups);
      refused(() => chooseApi(fake.files, bdf, "auto"));
      refused(() => chooseApi(fake.files, bdf, "auto", true));
      expect(chooseApi(fake.files, bdf, "noiommu").explain).toEqual([
        "noiommu: asked for",
        `iommufd: no, ${bdf} has no IOMMU`,
        `group: no, ${bdf} has no IOMMU${groups ? "" : " group"}`,
        `iommufd-compat: no, ${bdf} has no IOMMU${groups ? "" : " group"}`,
        "noiommu: possible, with /dev/iommu and /dev/vfio/devices/noiommu-vfio0",
      ]);
      expect(hasOwnNodeWithoutIommu(fake.files, bdf)).toBe(true);
      // Without an iommufd the group is what is left.
      rmSync(fake.files.at("/dev/iommu"));
      expect(hasOwnNodeWithoutIommu(fake.files, bdf)).toBe(!groups);
      expect(chooseApi(fake.files, bdf, "noiommu").explain.at(-1)).toBe(
        groups
          ? "noiommu: possible, with /dev/vfio/vfio and /dev/vfio/noiommu-0"
          : "noiommu: no, there is no /dev/iommu",
      );
    });

    test(`${name}: openDevice refuses it by iommufd, in whatever form that comes`, () => {
      using fake = kernel(groups);
      const host = fake.files;
      // A descriptor of the node, which a sysfs that is not there could not tell of.
      const fd = openSync(host.at("/dev/vfio/devices/noiommu-vfio0"), "r");
      using bare = fakeHost();
      try {
        refused(() => openDevice(bdf, { host }));
        refused(() => openDevice(bdf, { host, api: "iommufd" }));
        refused(() => openDevice(bdf, { host, fds: { device: fd } }));
        refused(() => openDevice(bdf, { host, fds: { device: fd, iommufd: fd } }));
        refused(() => openDevice(bdf, { host: bare.files, fds: { device: fd, iommufd: fd } }));
      } finally {
        closeSync(fd);
      }
    });
  }

  test("a group that VFIO made up is enough, whatever the node is called", () => {
    using fake = fakeHost();
    fake.device(bdf, { driver: "vfio-pci", group: 0, noiommu: true, vfioDev: "vfio0" });
    for (const node of ["iommu", "vfio/devices/vfio0"]) fake.node(node);
    expect(() => chooseApi(fake.files, bdf, "auto")).toThrow(`iommufd: no, ${bdf} has no IOMMU`);
  });
});

describe("where nothing is open", () => {
  const hintOf = (fake: FakeHost): unknown => {
    try {
      return chooseApi(fake.files, bdf, "auto");
    } catch (error) {
      return (error as { hint?: string }).hint;
    }
  };

  test("the device is not there", () => {
    using fake = fakeHost();
    expect(hintOf(fake)).toBe(`There is no PCI device ${bdf} on this host.`);
  });

  test("the device has another driver, or none: the commands", () => {
    using fake = fakeHost();
    fake.device(bdf, { driver: "nvme", group: 12 });
    expect(hintOf(fake)).toBe(
      `${bdf} is bound to nvme, not to vfio-pci. Give it to vfio-pci: ` +
        `echo vfio-pci > /sys/bus/pci/devices/${bdf}/driver_override; ` +
        `echo ${bdf} > /sys/bus/pci/devices/${bdf}/driver/unbind; echo ${bdf} > /sys/bus/pci/drivers_probe`,
    );
    using other = fakeHost();
    other.device(bdf, { group: 12 });
    expect(hintOf(other)).toContain("is bound to no driver, not to vfio-pci");
    expect(hintOf(other)).not.toContain("driver/unbind");
  });

  test("the nodes are missing", () => {
    using fake = host();
    expect(hintOf(fake)).toBe(
      "The kernel has nodes for it that are not in this /dev: in a container, pass them in, as docker run --device /dev/vfio/vfio --device /dev/vfio/12; otherwise see whether udev runs, and for iommufd modprobe iommufd.",
    );
  });

  test("vfio-pci is not loaded", () => {
    using fake = fakeHost();
    fake.device(bdf, { driver: "nvme", group: 12 });
    rmSync(fake.files.at("/sys/bus/pci/drivers/vfio-pci"), { recursive: true });
    expect(hintOf(fake)).toBe(`vfio-pci is not loaded: modprobe vfio-pci; then bun-vfio bind ${bdf}`);
  });
});
