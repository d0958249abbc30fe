import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSaved } from "../../../examples/vmm/snapshot.ts";
import { savedPc as saved } from "./support/saved-pc.ts";

const folder = mkdtempSync(join(tmpdir(), "saved-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "machine.json");

test.each([".ram", ".ram2"])("a saved machine has its memory beside it: %s", (end) => {
  const text = JSON.stringify({ ...saved, image: { ...saved.image, end } });
  writeFileSync(file, text);
  expect(readSaved(file)).toEqual({ ...JSON.parse(text), ram: `${file}${end}` });
});

const [cpu] = saved.cpus;
const [device] = saved.devices;
test.each<[name: string, content: unknown, place: string]>([
  ["null", null, ""],
  ["a list", [], ""],
  ["a version of before", { ...saved, version: 1 }, "version: saved by another version"],
  ["memory below 0", { ...saved, memory: -4096 }, "memory: "],
  ["memory as text", { ...saved, memory: "536870912" }, "memory: "],
  ["memory null", { ...saved, memory: null }, "memory: "],
  ["memory a list", { ...saved, memory: [] }, "memory: "],
  ["memory of 1.5 bytes", { ...saved, memory: 1.5 }, "memory: "],
  ["a page and a half", { ...saved, memory: 2 ** 28 + 2048 }, "memory: "],
  ["too little memory", { ...saved, memory: 2 ** 20 }, "memory: "],
  ["64 GiB", { ...saved, memory: 2 ** 36 }, "memory: "],
  ["no memory", { ...saved, memory: undefined }, "memory: "],
  ["memory elsewhere", { ...saved, image: { ...saved.image, end: "/../x" } }, "image.end: "],
  ["no memory's ID", { ...saved, image: { end: ".ram", id: "" } }, "image.id: "],
  ["no CPUs", { ...saved, cpus: [] }, "cpus: "],
  ["33 CPUs", { ...saved, cpus: Array(33).fill(cpu) }, "cpus: "],
  ["a CPU that is none", { ...saved, cpus: [cpu, null] }, "cpus.1: "],
  ["a CPU at its beginning", { ...saved, cpus: [{ version: 1, cpuid: [] }] }, "cpus.0.parts: "],
  ["chips that are none", { ...saved, machine: 7 }, "machine: "],
  ["no devices", { ...saved, devices: undefined }, "devices: "],
  ["a device that is none", { ...saved, devices: [null] }, "devices.0: "],
  ["slot 0", { ...saved, devices: [{ ...device, slot: 0 }] }, "devices.0.slot: "],
  ["slot 32", { ...saved, devices: [{ ...device, slot: 32 }] }, "devices.0.slot: "],
  ["a path", { ...saved, devices: [{ ...device, bdf: "../../x" }] }, "devices.0.bdf: expected the address"],
  ["no state", { ...saved, devices: [{ ...device, state: null }] }, "devices.0.state: "],
  [
    "a slot twice",
    { ...saved, devices: [device, { ...device, bdf: "0000:03:00.0" }] },
    "a slot has two devices",
  ],
  ["a device twice", { ...saved, devices: [device, { ...device, slot: 2 }] }, "a device has two slots"],
  ["32 devices", { ...saved, devices: Array(32).fill(device) }, "devices: "],
  ["an address of 33 bits", { ...saved, configAddress: 2 ** 32 }, "configAddress: "],
  ["a register short", { ...saved, serial: { ...saved.serial, registers: [0] } }, "serial.registers: "],
  [
    "a register of 9 bits",
    { ...saved, serial: { ...saved.serial, registers: Array(10).fill(256) } },
    "serial.",
  ],
  [
    "input without end",
    { ...saved, serial: { ...saved.serial, input: Array(2 ** 17).fill(0) } },
    "serial.input: ",
  ],
  ["more than there is", { ...saved, more: 1 }, "more"],
])("refused with the place: %s", (_name, content, place) => {
  writeFileSync(file, JSON.stringify(content));
  expect(() => readSaved(file)).toThrow(
    expect.objectContaining({
      code: "EBADSTATE",
      hint: "Give the file that --snapshot named.",
      message: expect.stringMatching(new RegExp(`^${file}: this is no saved machine: .*${place}`)),
    }),
  );
});

test.each([
  ["a kernel", "vmlinuz"],
  ["nothing", ""],
  ["lists in lists", "[".repeat(3e6)],
  ["a huge file", " ".repeat(2 ** 26 + 1)],
])("refused: %s", (_name, text) => {
  writeFileSync(file, text);
  expect(() => readSaved(file)).toThrow(expect.objectContaining({ code: "EBADSTATE" }));
});
