// Bindings that outlive the next start.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { bindCommand, undoCommand, unbindCommand } from "../../src/cli/bind.ts";
import { Machine } from "../support/host-machine.ts";
import { busy, inProcess, nvme, printed } from "./on-machine.ts";
import { temporary } from "./run.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const ahci = "0000:09:00.0";
const rule = `/etc/udev/rules.d/70-bun-vfio-${ahci}.rules`;
const module = `/etc/modules-load.d/bun-vfio-${ahci}.conf`;
function machineWithUdev(): Machine {
  const machine = new Machine();
  machine.put("/usr/lib/udev/hwdb.bin", "");
  return machine;
}

test("a rule for udev and the module, of this very device; unbind deletes them", () => {
  using machine = machineWithUdev();
  using _ = inProcess(machine);
  expect(bindCommand([ahci], { persist: true }, machine.write)).toBe(0);
  expect(printed.splice(0).join("")).toBe(
    `${ahci}: ahci -> vfio-pci\n${rule}: written, for the next start\n${module}: written, for the next start\n`,
  );
  const header = "# Written by bun-vfio bind --persist; bun-vfio unbind or undo deletes it.\n";
  expect(readFileSync(machine.at(rule), "utf8")).toBe(
    `${header}ACTION=="add", SUBSYSTEM=="pci", KERNEL=="${ahci}", ATTR{vendor}=="0x8086", ATTR{device}=="0x2922", ATTR{driver_override}="vfio-pci"\n`,
  );
  expect(readFileSync(machine.at(module), "utf8")).toBe(`${header}vfio-pci\n`);
  // Again, by another driver: the files of before are replaced.
  machine.put("/sys/bus/pci/drivers/x_vfio_pci/bind", "");
  bindCommand([ahci], { persist: true, driver: "x_vfio_pci" }, machine.write);
  expect(readFileSync(machine.at(module), "utf8")).toEndWith("x_vfio_pci\n");
  printed.splice(0);
  expect(unbindCommand([ahci], {}, machine.write)).toBe(0);
  expect(printed.join("")).toBe(`${ahci}: x_vfio_pci -> ahci\n${rule}: deleted\n${module}: deleted\n`);
  for (const folder of ["/etc/udev/rules.d", "/etc/modules-load.d"])
    expect(readdirSync(machine.at(folder))).toEqual([]);
});

test("undo deletes what its bind wrote, and nothing else", () => {
  using machine = machineWithUdev();
  using _ = inProcess(machine);
  using folder = temporary();
  const undoFile = folder.at("undo");
  bindCommand([ahci], { persist: true, undoFile }, machine.write);
  expect(undoCommand(undoFile, {}, machine.write)).toBe(0);
  expect(machine.files.exists(rule) || machine.files.exists(module)).toBe(false);
  // Bound for good before: the undo of a later bind leaves that as it is.
  bindCommand([ahci], { persist: true }, machine.write);
  unbindCommand([ahci], { dryRun: true }, machine.write);
  expect(machine.files.exists(rule)).toBe(true);
  const other = folder.at("other");
  bindCommand(["1:0.0"], { undoFile: other }, machine.write);
  undoCommand(other, {}, machine.write);
  expect(machine.files.exists(rule)).toBe(true);
  // Bound already: it persists all the same, and undo takes that back alone.
  const third = folder.at("third");
  bindCommand(["1:0.0"], {}, machine.write);
  bindCommand(["1:0.0"], { persist: true, undoFile: third }, machine.write);
  expect(machine.files.exists("/etc/udev/rules.d/70-bun-vfio-0000:01:00.0.rules")).toBe(true);
  undoCommand(third, {}, machine.write);
  expect(machine.files.exists("/etc/udev/rules.d/70-bun-vfio-0000:01:00.0.rules")).toBe(false);
  expect(machine.files.linkName(`${machine.folder("0000:01:00.0")}/driver`)).toBe("vfio-pci");
});

test("a file of somebody else is neither replaced nor deleted; without udev there is nothing to write", () => {
  using machine = machineWithUdev();
  using _ = inProcess(machine);
  machine.put(rule, "# mine");
  expect(() => bindCommand([ahci], { persist: true }, machine.write)).toThrow(
    `${rule}: it exists, and was not written by bind --persist; move it away`,
  );
  expect(machine.written).toEqual([]);
  bindCommand([ahci], {}, machine.write);
  unbindCommand([ahci], {}, machine.write);
  expect(readFileSync(machine.at(rule), "utf8")).toBe("# mine\n");
  using bare = new Machine();
  using __ = inProcess(bare);
  expect(() => bindCommand([ahci], { persist: true }, bare.write)).toThrow("this host has no udev");
});

test("what is refused or fails leaves no file", () => {
  using machine = machineWithUdev();
  using _ = inProcess(machine);
  using folder = temporary();
  busy(machine);
  expect(() => bindCommand([nvme], { persist: true }, machine.write)).toThrow("nvme0n1 is mounted at /");
  machine.refused.add("0000:01:00.0");
  expect(() => bindCommand(["1:0.0"], { persist: true, undoFile: folder.at("undo") }, machine.write)).toThrow(
    "everything was taken back",
  );
  expect(folder.list()).toEqual([]);
  expect(readdirSync(machine.at("/etc/udev/rules.d"))).toEqual([]);
  expect(readdirSync(machine.at("/etc/modules-load.d"))).toEqual([]);
});

test("a dry run prints the files as commands, and --json as data", () => {
  using machine = machineWithUdev();
  using _ = inProcess(machine);
  expect(bindCommand(["1:0.0"], { persist: true, dryRun: true }, machine.write)).toBe(0);
  const lines = printed.splice(0).join("").split("\n");
  expect(lines[0]).toBe("cat > /etc/udev/rules.d/70-bun-vfio-0000:01:00.0.rules <<'END'");
  expect(lines.at(-2)).toBe("echo 0000:01:00.0 > /sys/bus/pci/drivers_probe");
  expect(machine.files.exists("/etc/udev")).toBe(false);
  bindCommand(["1:0.0"], { persist: true, json: true }, machine.write);
  expect(JSON.parse(printed.splice(0).join(""))).toMatchObject({
    files: [{ path: "/etc/udev/rules.d/70-bun-vfio-0000:01:00.0.rules" }, { text: expect.any(String) }],
  });
});
