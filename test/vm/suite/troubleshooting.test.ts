// machines: (intel, virtio, none, none-new) [intel-new]
// takes: 40 s
// Every failure of docs/troubleshooting.md, caused on a real kernel: the page has the words that the library gives.
import { afterAll, beforeAll, describe, expect } from "bun:test";
import { readdirSync, readFileSync, readlinkSync, renameSync, writeFileSync } from "node:fs";
import { IrqIndex, type IrqRequest } from "../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { Container } from "../../../src/device/backends/kernel/container.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import type { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import { Eventfd } from "../../../src/ffi/eventfd.ts";
import { layoutOf } from "../../../src/regs/index.ts";
import { asNobody, bunVfio, shell } from "./support/command.ts";
import { bindTo, driverOf, find, ownDescriptors, sysDevices, take } from "./support/devices.ts";
import { holder } from "./support/holder.ts";
import { hasNoIommuCdevs, iommu, offersErrorsEverywhere, takesTokenByCdev } from "./support/rules.ts";
import { failureOf, trouble } from "./support/trouble.ts";

// The first program that is started costs Bun an eventfd of its own.
shell("true");
const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

const parameter = (module: string, name: string): string => `/sys/module/${module}/parameters/${name}`;
const bytes = (size: number): Uint8Array<ArrayBuffer> => new Uint8Array(new ArrayBuffer(size));

/** What an unprivileged process is told that opens a device. */
const asNobodyOpening = (bdf: string, api: string): string =>
  asNobody(
    `try { openDevice("${bdf}", { api: "${api}" }); } catch ({ message, hint }) { console.log(message + "\\n" + hint); }`,
  ).out;

/** The file of a module among those that the machine was started with. */
const moduleFile = (name: string): string =>
  `/modules/${readdirSync("/modules").find((file) => file.replace(/^\d+-/, "").replaceAll("-", "_") === `${name}.ko`)!}`;

/** Takes a module away while something is done. @param how parameters to load it with meanwhile; without, it is away */
async function without<Result>(
  name: string,
  how: string | undefined,
  work: () => Result | Promise<Result>,
): Promise<Result> {
  const folder = `/sys/module/${name}/parameters`;
  const parameters = readdirSync(folder)
    .map((one) => `${one}=${readFileSync(`${folder}/${one}`, "utf8").trim()}`)
    .filter((one) => !/=(?:\(null\)|)$/.test(one));
  shell(`rmmod ${name}`);
  try {
    if (how !== undefined) shell(`insmod ${moduleFile(name)} ${how}`);
    return await work();
  } finally {
    if (how !== undefined) shell(`rmmod ${name}`);
    shell(`insmod ${moduleFile(name)} ${parameters.join(" ")}`);
  }
}

/** Moves nodes away while something is done, as in a container that was not given them. */
function hidden<Result>(nodes: readonly string[], work: () => Result): Result {
  for (const node of nodes) renameSync(node, `${node}.away`);
  try {
    return work();
  } finally {
    for (const node of nodes) renameSync(`${node}.away`, node);
  }
}

/** The error of one thing done with an open device. */
function withDevice(bdf: string, work: (device: KernelDevice) => unknown): ReturnType<typeof failureOf> {
  using device = openDevice(bdf);
  return failureOf(() => work(device));
}

const trigger = (index: number, ...fds: number[]): IrqRequest => ({
  index,
  action: "trigger",
  start: 0,
  data: { kind: "eventfd", fds },
});

if (iommu === "intel") {
  describe("opening", () => {
    trouble("The group is not viable", () => {
      const smbus = readdirSync(sysDevices).find(
        (bdf) => readFileSync(`${sysDevices}/${bdf}/class`, "utf8").trim() === "0x0c0500",
      )!;
      bindTo(smbus, "vfio-pci");
      const error = failureOf(() => openDevice(smbus, { api: "group" }));
      bindTo(smbus, undefined);
      return error;
    });

    const held = async (api: "group" | "iommufd"): Promise<ReturnType<typeof failureOf>> => {
      const bdf = take("edu");
      const other = await holder(bdf, api);
      const error = failureOf(() => openDevice(bdf, { api }));
      await other.end();
      return error;
    };
    trouble("Another process has the device", () => held("group"));
    trouble("Another process has the device, seen through its cdev", () => held("iommufd"));

    trouble("This process has the device already", () => {
      const bdf = take("edu");
      using _device = openDevice(bdf, { api: "group" });
      return failureOf(() => openDevice(bdf, { api: "group" }));
    });

    trouble("The device is bound to a driver of the host", () => {
      const bdf = find("virtio-blk");
      bindTo(bdf, "virtio-pci");
      return failureOf(() => openDevice(bdf));
    });

    trouble("The device is bound to no driver", () => {
      const bdf = find("edu");
      bindTo(bdf, undefined);
      return failureOf(() => openDevice(bdf));
    });

    trouble("There is no such device", () => failureOf(() => openDevice("0000:7f:00.0")));

    trouble("vfio-pci is not loaded", async () => {
      const bdf = find("edu");
      bindTo(bdf, undefined);
      return without("vfio_pci", undefined, () => failureOf(() => openDevice(bdf)));
    });

    trouble("vfio_iommu_type1 is not loaded", () => {
      const bdf = take("edu");
      return without("vfio_iommu_type1", undefined, () => failureOf(() => openDevice(bdf, { api: "group" })));
    });

    trouble("The nodes are not there, as in a container that was not given them", () => {
      const bdf = take("edu");
      return hidden(["/dev/vfio", "/dev/iommu"], () => failureOf(() => openDevice(bdf)));
    });

    trouble("There is no iommufd", () => {
      const bdf = take("edu");
      return hidden(["/dev/iommu"], () => failureOf(() => openDevice(bdf, { api: "iommufd" })));
    });

    trouble("This user may not open the device", () => asNobodyOpening(take("edu"), "auto"));
    trouble("This user may not open the node that was asked for", () =>
      asNobodyOpening(take("edu"), "group"),
    );

    describe("a virtual function", () => {
      const token = "00112233-4455-6677-8899-aabbccddeeff";
      const igb = find("igb");
      let physical: KernelDevice;
      let virtual: string;
      beforeAll(() => {
        writeFileSync(parameter("vfio_pci", "enable_sriov"), "Y");
        physical = openDevice(take("igb"), { api: "group" });
        physical.setVfToken(token);
        writeFileSync(`${sysDevices}/${igb}/sriov_numvfs`, "1");
        virtual = readlinkSync(`${sysDevices}/${igb}/virtfn0`).split("/").at(-1)!;
        bindTo(virtual, "vfio-pci");
      });
      afterAll(() => {
        writeFileSync(`${sysDevices}/${igb}/sriov_numvfs`, "0");
        physical[Symbol.dispose]();
      });

      trouble("A virtual function is opened without its token", () =>
        failureOf(() => openDevice(virtual, { api: "group" })),
      );
      trouble("A virtual function is opened with a wrong token", () =>
        failureOf(() => openDevice(virtual, { api: "group", vfToken: token.replace("ff", "ee") })),
      );
      if (!takesTokenByCdev)
        trouble("A token is given to a cdev of a kernel that takes none", () =>
          failureOf(() => openDevice(virtual, { api: "iommufd", vfToken: token })),
        );
    });

    trouble("A token is given to a function that needs none", () =>
      failureOf(() => openDevice(take("edu"), { api: "group", vfToken: crypto.randomUUID() })),
    );
  });

  describe("registers", () => {
    trouble("A BAR is read while memory decoding is off", () =>
      withDevice(take("edu"), (device) => {
        device.write(RegionIndex.config, 4, bytes(2));
        device.read(RegionIndex.bar0, 0, bytes(4));
      }),
    );

    trouble("A BAR is read while the device sleeps (D3hot)", () => {
      return withDevice(take("nvme"), (device) => {
        const config = bytes(256);
        device.read(RegionIndex.config, 0, config);
        const power =
          layoutOf(config).capabilities.find(({ id, extended }) => id === 1 && !extended)!.offset + 4;
        device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
        device.write(RegionIndex.config, power, Uint8Array.of(3, 0));
        try {
          device.read(RegionIndex.bar0, 0, bytes(4));
        } finally {
          device.write(RegionIndex.config, power, bytes(2));
        }
      });
    });

    trouble("An access reaches beyond its region", () =>
      withDevice(take("edu"), (device) => device.read(RegionIndex.bar0, 0x10_0000, bytes(4))),
    );

    trouble("A BAR of I/O ports is mapped", () =>
      withDevice(take("e1000e"), (device) => device.map(2, { offset: 0, size: 0x1000 })),
    );

    trouble("A device is used after it was closed", () => {
      const device = openDevice(take("edu"));
      device[Symbol.dispose]();
      return failureOf(() => device.read(RegionIndex.bar0, 0, bytes(4)));
    });
  });

  describe("interrupts", () => {
    trouble("More vectors are asked for than the device has", () => {
      using eventfd = new Eventfd();
      return withDevice(take("edu"), (device) =>
        device.setIrqs(trigger(IrqIndex.msi, eventfd.fd, eventfd.fd)),
      );
    });

    trouble("Another kind of interrupt is on", () => {
      using eventfd = new Eventfd();
      return withDevice(take("edu"), (device) => {
        device.setIrqs(trigger(IrqIndex.msi, eventfd.fd));
        device.setIrqs(trigger(IrqIndex.intx, eventfd.fd));
      });
    });

    trouble("A descriptor is no eventfd", () =>
      withDevice(take("edu"), (device) => device.setIrqs(trigger(IrqIndex.msi, device.fd))),
    );

    trouble("The interrupt line is another device's, too", async () => {
      const line = (bdf: string): string => readFileSync(`${sysDevices}/${bdf}/irq`, "utf8").trim();
      const [first, second] = (["edu", "nvme", "e1000e", "igb", "xhci", "ahci"] as const)
        .map(take)
        .flatMap((one, at, all) => all.slice(at + 1).map((other) => [one, other] as const))
        .find(([one, other]) => line(one) === line(other))!;
      return without("vfio_pci", "nointxmask=1", () => {
        for (const bdf of [first, second])
          if (driverOf(bdf) !== "vfio-pci") writeFileSync("/sys/bus/pci/drivers_probe", bdf);
        using eventfd = new Eventfd();
        using holds = openDevice(first);
        holds.setIrqs(trigger(IrqIndex.intx, eventfd.fd));
        return withDevice(second, (device) => device.setIrqs(trigger(IrqIndex.intx, eventfd.fd)));
      });
    });

    if (!offersErrorsEverywhere)
      trouble("A device does not tell of its errors", () =>
        withDevice(take("edu"), (device) => device.on("error", () => {})),
      );
  });

  describe("resets", () => {
    trouble("The device cannot be reset", () => {
      const bdf = take("edu");
      {
        using device = openDevice(bdf);
        device.resetMethods = [];
      }
      const error = withDevice(bdf, (device) => device.reset());
      using device = openDevice(bdf);
      device.resetMethods = ["default"];
      return error;
    });

    trouble("A reset method is chosen that the device has not", () =>
      withDevice(take("edu"), (device) => (device.resetMethods = ["flr"])),
    );
  });

  describe("binding", () => {
    trouble("bind is refused: the host uses the device", () => {
      const bdf = find("nvme");
      bindTo(bdf, undefined);
      writeFileSync(`${sysDevices}/${bdf}/driver_override`, "\n");
      shell("modprobe nvme");
      shell(`[ -e ${sysDevices}/${bdf}/driver ] || echo ${bdf} > /sys/bus/pci/drivers/nvme/bind`);
      shell("mkswap /dev/nvme0n1; swapon /dev/nvme0n1");
      const { err } = bunVfio("bind", bdf);
      shell("swapoff /dev/nvme0n1; rmmod nvme");
      return err;
    });

    trouble("unbind is refused: a process has the device open", () => {
      const bdf = take("edu");
      using _device = openDevice(bdf);
      return bunVfio("unbind", bdf).err;
    });

    trouble(
      "A driver does not take the device",
      () => bunVfio("bind", "--driver", "virtio-pci", find("edu")).err,
    );

    trouble("bind is not done by root", () => {
      const bdf = find("edu");
      bindTo(bdf, undefined);
      return asNobody(`process.exitCode = runCommand(["bind", "${bdf}"])`).err;
    });
  });
}

if (iommu === "virtio") {
  const parameters = ["vfio_iommu_type1", "iommufd"].map((module) =>
    parameter(module, "allow_unsafe_interrupts"),
  );
  const strict = (api: "group" | "iommufd"): ReturnType<typeof failureOf> => {
    for (const path of parameters) writeFileSync(path, "0");
    try {
      return failureOf(() => openDevice(take("edu"), { api }));
    } finally {
      for (const path of parameters) writeFileSync(path, "1");
    }
  };
  trouble("Interrupts are not remapped", () => strict("group"));
  trouble("Interrupts are not remapped, seen through the cdev", () => strict("iommufd"));
}

if (iommu === "none") {
  const mode = parameter("vfio", "enable_unsafe_noiommu_mode");
  const edu = find("edu");

  trouble("There is no IOMMU", () => {
    bindTo(edu, undefined);
    writeFileSync(mode, "0");
    return failureOf(() => openDevice(edu));
  });

  trouble("There is no IOMMU, and the device shall be bound", () => {
    bindTo(edu, undefined);
    writeFileSync(mode, "0");
    return bunVfio("bind", edu).err;
  });

  const opened = (): ReturnType<typeof failureOf> => {
    writeFileSync(mode, "1");
    return failureOf(() => openDevice(take("edu")));
  };
  if (hasNoIommuCdevs)
    trouble("A device without IOMMU is opened, and nobody asked for that (Linux 7.3)", opened);
  else trouble("A device without IOMMU is opened, and nobody asked for that", opened);

  trouble("A device without IOMMU is opened by who is not root", () => {
    writeFileSync(mode, "1");
    const bdf = take("edu");
    shell("chmod 666 /dev/vfio/vfio /dev/vfio/noiommu-*");
    return asNobodyOpening(bdf, "noiommu");
  });

  trouble("A device with no IOMMU is put with devices that have one", () => {
    writeFileSync(mode, "1");
    using container = Container.open({ iommu: "type1v2" });
    return failureOf(() => openDevice(take("edu"), { iommu: container }));
  });
}
