import { expect, setDefaultTimeout, test } from "bun:test";
import { traceFields, TraceKind } from "../../src/device/seam/trace.ts";
import { bunVfio } from "./run.ts";

// Each test starts the command.
setDefaultTimeout(60_000);

const args = ["replay", "images/edu.json", "test/traces/edu.txt", "--trace"];

test("--trace prints what the model did, a line an entry, from the stop and the reset to the detach", () => {
  const { code, out, err } = bunVfio(args);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const lines = out.trimEnd().split("\n");
  expect(lines.slice(0, lines.indexOf("  device reset"))).toEqual(["  device write CONFIG 0x004 2 = 0x0000"]);
  expect(lines.filter((line) => line.startsWith("config read "))).not.toBeEmpty();
  expect(lines.filter((line) => /^ {2}bus mmio \S+ to BAR0$/.test(line))).not.toBeEmpty();
  const detached = lines.lastIndexOf("detached by the VMM");
  expect(detached).toBeGreaterThan(0);
  expect(lines.slice(detached).filter((line) => /^ {2}bus mmio \S+ from BAR0$/.test(line))).toHaveLength(1);
});

test("--trace --json prints each entry as an object with the fields of its kind", () => {
  const { code, out } = bunVfio([...args, "--json"]);
  expect(code).toBe(0);
  const entries = out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(entries.length).toBeGreaterThan(100);
  for (const { kind, text: _, ...fields } of entries) {
    expect(Object.keys(TraceKind)).toContain(kind as string);
    expect(Object.keys(fields)).toEqual([...traceFields[kind as keyof typeof traceFields]]);
  }
});
