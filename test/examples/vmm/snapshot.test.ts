import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSaved } from "../../../examples/vmm/snapshot.ts";

const folder = mkdtempSync(join(tmpdir(), "saved-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "machine.json");
const saved = { version: 1, memory: 2 ** 28, cpus: [{}], devices: [] };

test("a saved machine has its memory beside it", () => {
  writeFileSync(file, JSON.stringify(saved));
  expect(readSaved(file)).toMatchObject({ memory: 2 ** 28, ram: `${file}.ram` });
});

test.each([
  ["no JSON", "vmlinuz", "this is no saved machine"],
  ["null", "null", "this is no saved machine"],
  ["another version", JSON.stringify({ ...saved, version: 2 }), "this is no saved machine"],
  ["33 CPUs", JSON.stringify({ ...saved, cpus: Array(33).fill({}) }), "this is no saved machine"],
  ["no devices", JSON.stringify({ ...saved, devices: undefined }), "this is no saved machine"],
  ["32 devices", JSON.stringify({ ...saved, devices: Array(32).fill({}) }), "this is no saved machine"],
  ["64 GiB", JSON.stringify({ ...saved, memory: 2 ** 36 }), "more memory than a machine can have"],
  ["no memory", JSON.stringify({ ...saved, memory: undefined }), "more memory than a machine can have"],
])("refused: %s", (_name, text, message) => {
  writeFileSync(file, text);
  expect(() => readSaved(file)).toThrow(`${file}: `);
  expect(() => readSaved(file)).toThrow(message);
});
