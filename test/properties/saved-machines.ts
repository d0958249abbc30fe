// Damaged files of the example's saved machines.
import { expect } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { readSaved } from "../../examples/vmm/snapshot.ts";
import { VfioError } from "../../src/ffi/errors.ts";
import { savedPc } from "../examples/vmm/support/saved-pc.ts";
import { editedJson, editedText, jsonEdits, textEdits } from "./edits.ts";
import { property } from "./property.ts";

const text = JSON.stringify(savedPc);

function read(content: string): ReturnType<typeof readSaved> {
  const folder = mkdtempSync(join(tmpdir(), "saved-"));
  try {
    const file = join(folder, "machine");
    writeFileSync(file, content);
    return readSaved(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const savedMachines = property({
  name: "savedMachines",
  file: "saved-machines.ts",
  says: "a damaged saved machine is refused in words, or is one that can be made",
  runs: 150,
  input: fc.oneof(fc.record({ text: textEdits }), fc.record({ json: jsonEdits })),
  reaches: ["readable", "refused"],
  check(edits, effects) {
    const content =
      "text" in edits
        ? editedText(text, edits.text)
        : (JSON.stringify(editedJson(savedPc, edits.json)) ?? "");
    let saved: ReturnType<typeof readSaved>;
    try {
      saved = read(content);
    } catch (error) {
      if (!(error instanceof VfioError)) throw error;
      expect(error.code).toBe("EBADSTATE");
      effects.count("refused");
      return;
    }
    effects.count("readable");
    const { memory, cpus, devices, ram } = saved;
    expect(Number.isInteger(memory) && memory > 0 && memory % 4096 === 0).toBe(true);
    expect(cpus.length).toBeGreaterThan(0);
    const slots = devices.map(({ slot }) => slot);
    expect(slots.every((slot) => Number.isInteger(slot) && slot >= 1 && slot <= 31)).toBe(true);
    expect(new Set(slots).size).toBe(slots.length);
    expect(/^\/.*\/machine\.ram2?$/.test(ram)).toBe(true);
  },
});
