// The way back: by an undo file, and to whichever driver of the host claims a device.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { bindCommand, undoCommand, unbindCommand } from "../../src/cli/bind.ts";
import { Machine } from "../support/host-machine.ts";
import { busy, inProcess, nvme, printed, run } from "./on-machine.ts";
import { temporary } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

describe("undo", () => {
  test("binds everything as it was", () => {
    using machine = new Machine();
    using folder = temporary();
    using _ = inProcess(machine);
    const undo = folder.at("undo.json");
    const bdfs = ["09:00.0", "01:00.0"];
    const drivers = (): unknown =>
      bdfs.map((bdf) => machine.files.linkName(`${machine.folder(`0000:${bdf}`)}/driver`));
    bindCommand(bdfs, { undoFile: undo }, machine.write);
    expect(drivers()).toEqual(["vfio-pci", "vfio-pci"]);
    expect(() => bindCommand(["02:00.0"], { undoFile: undo }, machine.write)).toThrow("it exists");
    expect(machine.files.linkName(`${machine.folder(nvme)}/driver`)).toBe("nvme");
    expect(undoCommand(undo, {}, machine.write)).toBe(0);
    expect(drivers()).toEqual(["ahci", undefined]);
    expect(existsSync(undo)).toBe(true);
    printed.splice(0);
    undoCommand(undo, {}, machine.write);
    expect(printed).toEqual(["", "bun-vfio: nothing to do\n"]);
  });

  const undoFile = (folder: { at(name: string): string }, ...bindings: object[]): string => {
    const path = folder.at("undo.json");
    writeFileSync(path, JSON.stringify({ format: "bun-vfio-undo", version: 1, bindings }));
    return path;
  };
  const driverOf = (machine: Machine, bdf: string): string | undefined =>
    machine.files.linkName(`${machine.folder(bdf)}/driver`);

  test("of a file that is stale or not ours: refuses what bind refuses, unless forced", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    using folder = temporary();
    busy(machine);
    for (const [bdf, driver, driverOverride, reason] of [
      [nvme, null, "vfio-pci", "nvme0n1 is mounted at /; unmount it first"],
      [nvme, "vfio-pci", "vfio-pci", "nvme0n1 is mounted at /; unmount it first"],
      ["0000:03:00.0", null, null, "eth0 carries the default route; take the interface down first"],
      ["0000:03:00.0", "ahci", null, "eth0 carries the default route; take the interface down first"],
    ] as const) {
      const path = undoFile(folder, { bdf, driver, driverOverride });
      const before = driverOf(machine, bdf);
      for (const dryRun of [true, false])
        expect(() => undoCommand(path, { dryRun }, machine.write)).toThrow(
          `refused: ${bdf}: ${reason}; --force does it all the same`,
        );
      expect(machine.written).toEqual([]);
      expect(driverOf(machine, bdf)).toBe(before);
    }
    undoCommand(
      undoFile(folder, { bdf: nvme, driver: null, driverOverride: null }),
      { force: true },
      machine.write,
    );
    expect(driverOf(machine, nvme)).toBeUndefined();
  });

  test("a bridge goes to no VFIO driver, whatever is said", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    using folder = temporary();
    const [bdf, driver] = ["0000:00:02.0", "vfio-pci"];
    const path = undoFile(folder, { bdf, driver, driverOverride: driver });
    expect(() => undoCommand(path, { force: true }, machine.write)).toThrow("it is a bridge, and stays");
    expect(machine.written).toEqual([]);
  });

  test("another device in its place, one that is gone, a driver that is not loaded", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    using folder = temporary();
    const bdf = "0000:09:00.0";
    const path = folder.at("undo.json");
    bindCommand([bdf], { undoFile: path }, machine.write);
    expect(readFileSync(path, "utf8")).toContain('"ids": "8086:2922"');
    machine.put(`${machine.folder(bdf)}/device`, "0x10d3");
    expect(() => undoCommand(path, {}, machine.write)).toThrow(
      `refused: ${bdf}: it is another device than when the file was written: 8086:10d3, not 8086:2922; --force`,
    );
    expect(driverOf(machine, bdf)).toBe("vfio-pci");
    const gone = { bdf: "0000:77:00.0", driver: null, driverOverride: null };
    const both = undoFile(folder, gone, { bdf, driver: "ahci", driverOverride: null });
    expect(() => undoCommand(both, {}, machine.write)).toThrow(
      "refused: 0000:77:00.0: this host has no such device any more; --force",
    );
    expect(undoCommand(both, { force: true }, machine.write)).toBe(0);
    expect(driverOf(machine, bdf)).toBe("ahci");
    const other = undoFile(folder, { bdf, driver: "nosuch", driverOverride: null });
    expect(() => undoCommand(other, { force: true }, machine.write)).toThrow(
      `${bdf}: the driver nosuch is not loaded; load it: modprobe nosuch`,
    );
    expect(driverOf(machine, bdf)).toBe("ahci");
  });

  test("an undo file that is none leads nowhere", () => {
    using machine = new Machine();
    using folder = temporary();
    const undo = folder.at("undo.json");
    const good = { format: "bun-vfio-undo", version: 1, bindings: [] };
    const bad: readonly (readonly [content: string, message: string])[] = [
      ["junk", "not JSON"],
      ["{}", "format: "],
      [JSON.stringify({ ...good, version: 2 }), "version: "],
      [
        JSON.stringify({ ...good, bindings: [{ bdf: "../x", driver: null, driverOverride: null }] }),
        "bindings.0.bdf: expected a BDF",
      ],
      [
        JSON.stringify({ ...good, bindings: [{ bdf: nvme, driver: "../../x", driverOverride: null }] }),
        "bindings.0.driver: expected the name of a driver",
      ],
    ];
    for (const [content, message] of bad) {
      writeFileSync(undo, content);
      const { code, err } = run(machine, "undo", undo);
      expect(code).toBe(2);
      expect(err).toStartWith(`bun-vfio: ${undo}: ${message}`);
      expect(err).toEndWith("; expected an undo file, as bun-vfio bind --undo-file writes it\n");
    }
  });
});

describe("unbind", () => {
  test("gives it back to the host", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    bindCommand(["9:0.0"], {}, machine.write);
    expect(unbindCommand(["9:0.0"], {}, machine.write)).toBe(0);
    expect(printed.at(-1)).toBe("0000:09:00.0: vfio-pci -> ahci\n");
    expect(machine.files.text(`${machine.folder("0000:09:00.0")}/driver_override`)).toBe("(null)");
  });

  test("what was never given to VFIO keeps its driver: its override goes alone", () => {
    using machine = new Machine();
    using _ = inProcess(machine);
    busy(machine);
    machine.put(`${machine.folder(nvme)}/driver_override`, "vfio-pci");
    const sysfs = `/sys/bus/pci/devices/${nvme}`;
    for (const force of [false, true]) {
      expect(unbindCommand([nvme], { force, dryRun: true }, machine.write)).toBe(0);
      expect(printed.splice(0).join("")).toBe(`echo > ${sysfs}/driver_override\n`);
    }
    expect(unbindCommand([nvme], {}, machine.write)).toBe(0);
    expect(machine.written).toEqual([`echo  > ${sysfs}/driver_override`]);
    expect(printed.join("")).toBe(`${nvme}: nvme stays, driver_override vfio-pci -> none\n`);
    // Without a driver the host's takes it.
    machine.bind("0000:09:00.0", undefined);
    machine.put(`${machine.folder("0000:09:00.0")}/driver_override`, "vfio-pci");
    expect(unbindCommand(["9:0.0"], {}, machine.write)).toBe(0);
    expect(printed.at(-1)).toBe("0000:09:00.0: no driver -> ahci\n");
  });

  test("a physical function whose virtual functions are on", () => {
    using machine = new Machine();
    machine.bind("0000:04:00.0", "vfio-pci");
    expect(run(machine, "unbind", "4:0.0").err).toBe(
      "bun-vfio: refused: 0000:04:00.0: virtual functions of it are on (2), and would go; write 0 to its sriov_numvfs first; --force does it all the same\n",
    );
  });

  test("what is not bound to VFIO, or open", () => {
    using machine = new Machine();
    expect(run(machine, "unbind", "9:0.0").err).toBe(
      "bun-vfio: 0000:09:00.0 is bound to ahci, not to a VFIO driver; there is nothing to unbind\n",
    );
    machine.bind("0000:09:00.0", "vfio-pci");
    machine.put("/proc/41/comm", "qemu");
    machine.open(41, 7, "/dev/vfio/19");
    expect(run(machine, "unbind", "9:0.0").err).toBe(
      "bun-vfio: refused: 0000:09:00.0: it is open in qemu (process 41); end them first; --force waits until they let go of it\n",
    );
    expect(run(machine, "unbind", "--force", "--dry-run", "9:0.0").code).toBe(0);
  });
});
