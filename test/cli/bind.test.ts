// Binding on a copy of a recorded machine: by the command itself, whose writes nobody answers there, and by its
// functions on a kernel that does.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { bindCommand, undoCommand } from "../../src/cli/bind.ts";
import type { WriteAttribute } from "../../src/device/host/binding.ts";
import { Machine } from "../support/host-machine.ts";
import { busy, inProcess, json, nvme, printed, run } from "./on-machine.ts";
import { temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

describe("bind", () => {
  test("--dry-run prints the writes as commands, and does none", () => {
    using machine = new Machine();
    expect(run(machine, "bind", "--dry-run", "9:0.0", "01:00.0")).toEqual({
      code: 0,
      err: "",
      out: `echo vfio-pci > /sys/bus/pci/devices/0000:09:00.0/driver_override
echo 0000:09:00.0 > /sys/bus/pci/devices/0000:09:00.0/driver/unbind
echo 0000:09:00.0 > /sys/bus/pci/drivers_probe
echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override
echo 0000:01:00.0 > /sys/bus/pci/drivers_probe
`,
    });
    const sysfs = machine.files.text(`${machine.folder("0000:09:00.0")}/driver_override`);
    expect(sysfs).toBe("(null)");
    expect(json(machine, "bind", "--dry-run", "01:00.0")).toEqual({
      formatVersion: 1,
      dryRun: true,
      devices: [{ bdf: "0000:01:00.0", from: { driver: null, driverOverride: null }, to: null }],
      writes: [
        { path: "/sys/bus/pci/devices/0000:01:00.0/driver_override", value: "vfio-pci" },
        { path: "/sys/bus/pci/drivers_probe", value: "0000:01:00.0" },
      ],
      files: [],
    });
  });

  test("refuses what the host would miss, unless forced", () => {
    using machine = new Machine();
    busy(machine);
    machine.put(`${machine.folder("0000:01:00.0")}/boot_vga`, "1");
    const refused: readonly (readonly [bdf: string, reason: string])[] = [
      [nvme, "nvme0n1 is mounted at /; unmount it first"],
      ["0000:03:00.0", "eth0 carries the default route; take the interface down first"],
      ["0000:01:00.0", "the firmware's console is on it, and would go dark"],
      ["0000:04:00.0", "virtual functions of it are on (2), and would go; write 0 to its sriov_numvfs first"],
      ["0000:00:1f.0", "it is a bridge of the host, which relies on it"],
    ];
    for (const [bdf, reason] of refused) {
      expect(run(machine, "bind", bdf)).toEqual({
        code: 2,
        out: "",
        err: `bun-vfio: refused: ${bdf}: ${reason}; --force does it all the same\n`,
      });
      expect(run(machine, "bind", "--force", "--dry-run", bdf).code).toBe(0);
    }
    machine.unlink(`${machine.folder("0000:09:00.0")}/iommu_group`);
    expect(run(machine, "bind", "9:0.0").err).toContain("0000:09:00.0: no IOMMU stands before it");
    expect(run(machine, "bind", "--dry-run", "00:02.0").err).toBe(
      "bun-vfio: 0000:00:02.0: it is a bridge, and stays with the host; bind the devices behind it\n",
    );
  });

  test("one of several that is refused keeps all as they are", () => {
    using machine = new Machine();
    busy(machine);
    const { code, err } = run(machine, "bind", "9:0.0", "2:0.0", "3:0.0");
    expect(code).toBe(2);
    expect(err).toContain("(and 1 more: 0000:03:00.0: eth0 carries the default route");
    expect(machine.files.text(`${machine.folder("0000:09:00.0")}/driver_override`)).toBe("(null)");
  });

  test("--group takes what is needed of a group, and leaves its bridge", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    expect(bindCommand(["00:1f.3"], { group: true }, machine.write)).toBe(0);
    const drivers = ["0", "2", "3"].map((fn) =>
      machine.files.linkName(`${machine.folder(`0000:00:1f.${fn}`)}/driver`),
    );
    expect(drivers).toEqual([undefined, "vfio-pci", "vfio-pci"]);
    expect(printed.join("")).toBe("0000:00:1f.2: ahci -> vfio-pci\n0000:00:1f.3: no driver -> vfio-pci\n");
  });

  test("--group takes the driver of a bridge that blocks, and undo gives it back", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    using folder = temporary();
    const port = "0000:00:02.1";
    machine.join(port, 12);
    machine.put("/sys/bus/pci/drivers/shpchp/bind", "");
    machine.bind(port, "shpchp");
    const undoFile = folder.at("undo.json");
    expect(bindCommand([nvme], { group: true, undoFile }, machine.write)).toBe(0);
    expect(machine.written).toContain(`echo ${port} > /sys/bus/pci/devices/${port}/driver/unbind`);
    expect(machine.written.join()).not.toContain(`${port}/driver_override`);
    expect(() => bindCommand([port], {}, machine.write)).toThrow("it is a bridge, and stays with the host");
    expect(undoCommand(undoFile, {}, machine.write)).toBe(0);
    expect(machine.files.linkName(`${machine.folder(port)}/driver`)).toBe("shpchp");
  });

  test("notes who still holds the group", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    bindCommand(["00:1f.3"], {}, machine.write);
    expect(printed.at(-1)).toBe(
      "bun-vfio: note: group 10 is still held by 0000:00:1f.2 (ahci); bind them too, or add --group\n",
    );
  });

  test("a driver that is not there, and one that leads elsewhere", () => {
    using machine = new Machine();
    expect(run(machine, "bind", "--driver", "mlx5_vfio_pci", "9:0.0").err).toBe(
      "bun-vfio: 0000:09:00.0: the driver mlx5_vfio_pci is not loaded; load it: modprobe mlx5_vfio_pci\n",
    );
    expect(run(machine, "bind", "--driver", "../drivers/ahci", "9:0.0").err).toBe(
      'bun-vfio: --driver: "../drivers/ahci" is no name of a driver\n',
    );
  });

  test("what is wrong with the request is told before what is not loaded; a dry run needs nothing loaded", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    busy(machine);
    machine.remove("/sys/bus/pci/drivers/vfio-pci");
    expect(() => bindCommand(["02:00.9"], {}, machine.write)).toThrow("function 9 is above 7");
    expect(() => bindCommand(["7:0.0"], {}, machine.write)).toThrow("this host has no such device");
    expect(() => bindCommand([nvme], {}, machine.write)).toThrow("nvme0n1 is mounted at /");
    expect(() => bindCommand(["00:02.0"], { force: true }, machine.write)).toThrow("it is a bridge");
    expect(() => bindCommand(["9:0.0"], {}, machine.write)).toThrow("vfio-pci is not loaded; load it");
    expect(bindCommand(["9:0.0"], { dryRun: true }, machine.write)).toBe(0);
    expect(machine.written).toEqual([]);
  });

  test("a driver that refuses: all is taken back, no undo file stays, one line tells", () => {
    using machine = new Machine();
    using folder = temporary();
    // Nobody answers to the writes here, as if the probe had failed.
    expect(run(machine, "bind", "9:0.0", "--undo-file", folder.at("undo"))).toEqual({
      code: 2,
      out: "",
      err: "bun-vfio: 0000:09:00.0 is bound to ahci after it should be bound to vfio-pci; everything was taken back; vfio-pci refused it: the kernel's log tells why\n",
    });
    expect(folder.list()).toEqual([]);
    expect(machine.files.text(`${machine.folder("0000:09:00.0")}/driver_override`)).toBe("");
  });
});

test("an undo file that cannot be deleted hides nothing of the failure", () => {
  using machine = new Machine();
  using _ = inProcess(machine);
  using folder = temporary();
  const undoFile = folder.at("undo");
  machine.refused.add("0000:01:00.0");
  const write: WriteAttribute = (one, bdf) => {
    rmSync(undoFile, { force: true });
    machine.write(one, bdf);
  };
  expect(() => bindCommand(["1:0.0"], { undoFile }, write)).toThrow(
    expect.objectContaining({
      code: "ENODEV",
      message: expect.stringContaining("everything was taken back"),
    }),
  );
  expect(printed).toEqual([`bun-vfio: note: ${undoFile} is of no use, and cannot be deleted\n`]);
});
