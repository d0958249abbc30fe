import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadMemory, saveMemory } from "../../src/kvm/memory-image.ts";
import { testNeeding } from "../support/needing.ts";
import { Ram } from "../support/ram.ts";
import { noSmallFileSystem, SmallFileSystem } from "../support/small-file-system.ts";

const mib = 2 ** 20;
const folder = fs.mkdtempSync(join(tmpdir(), "memory-"));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
const file = join(folder, "ram");

function filled(size: number, written: number, fill: number): Ram {
  const ram = new Ram(size);
  ram.view(0, written).fill(fill);
  return ram;
}
const bad = (message: string) =>
  expect.objectContaining({
    name: "VfioError",
    code: "EBADSTATE",
    message: expect.stringContaining(message),
  });

test("all of it comes back, in its places; what was never written is a hole; nobody else may read it", () => {
  using ram = new Ram(5 * mib, 9 * mib);
  ram.view(5 * mib - 1, 1)[0] = 1;
  ram.view(2 ** 32 + 9 * mib - 1, 1)[0] = 2;
  saveMemory(ram, file);
  const { mode, blocks } = fs.statSync(file);
  expect(mode & 0o777).toBe(0o600);
  expect(blocks * 512).toBeLessThan(6 * mib);
  using back = new Ram(5 * mib, 9 * mib);
  loadMemory(back, file);
  expect([back.view(5 * mib - 1, 1)[0], back.view(2 ** 32 + 9 * mib - 1, 1)[0]]).toEqual([1, 2]);
  expect(Buffer.compare(back.view(2 ** 32, 9 * mib), ram.view(2 ** 32, 9 * mib))).toBe(0);
  // As it lies in the guest.
  expect(fs.readFileSync(file).subarray(0, 14 * mib)).toEqual(
    Buffer.concat([ram.view(0, 5 * mib), ram.view(2 ** 32, 9 * mib)]),
  );
});

test("memory that was saved with another state is refused, and nothing of it is read", () => {
  using first = filled(mib, mib, 1);
  const before = saveMemory(first, file);
  const after = saveMemory(first, file);
  using back = new Ram(mib);
  expect(() => loadMemory(back, file, before)).toThrow(bad("not saved with this state"));
  expect(back.view(0, 1)[0]).toBe(0);
  loadMemory(back, file, after);
  expect(back.view(0, 1)[0]).toBe(1);
});

test("a file that is cut off, of other memory, or none is refused, and nothing of it is read", () => {
  using ram = filled(2 * mib, 2 * mib, 3);
  saveMemory(ram, file);
  const { size } = fs.statSync(file);
  using same = new Ram(2 * mib);
  for (const other of [new Ram(mib), new Ram(mib, mib), new Ram(3 * mib)])
    expect(() => loadMemory(other, file)).toThrow(bad(other.size > size ? "is shorter" : "same places"));
  for (const cut of [size - 1, 2 * mib + 1, 2 * mib, mib, 0]) {
    fs.truncateSync(file, cut);
    expect(() => loadMemory(same, file)).toThrow(bad(cut > 2 * mib ? "same places" : "is shorter"));
  }
  for (const words of ["{}", "null", "", '{"id":7}', "x".repeat(2 ** 17)]) {
    fs.writeFileSync(file, Buffer.concat([new Uint8Array(2 * mib).fill(9), Buffer.from(words)]));
    expect(() => loadMemory(same, file)).toThrow(bad(words === "" ? "is shorter" : "same places"));
  }
  expect(same.view(0, 2 * mib).every((byte) => byte === 0)).toBe(true);
  expect(() => loadMemory(same, folder)).toThrow(expect.objectContaining({ name: "VfioError" }));
  expect(() => loadMemory(same, join(folder, "none"))).toThrow(expect.objectContaining({ code: "ENOENT" }));
});

testNeeding(
  noSmallFileSystem(),
  "a file system that becomes full: it is said, and the older memory is whole",
  () => {
    using small = new SmallFileSystem(6 * mib);
    using old = filled(16 * mib, mib, 1);
    using next = filled(16 * mib, 8 * mib, 2);
    const id = saveMemory(old, small.at("ram"));
    expect(() => saveMemory(next, small.at("ram"))).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    expect(() => saveMemory(next, small.at("other"))).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    expect(fs.readdirSync(small.path)).toEqual(["ram"]);
    using back = new Ram(16 * mib);
    loadMemory(back, small.at("ram"), id);
    expect(Buffer.compare(back.view(0, 16 * mib), old.view(0, 16 * mib))).toBe(0);
  },
  10_000,
);
