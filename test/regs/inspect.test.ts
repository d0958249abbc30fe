// A map, a register, a field or accessors in a debugger or in a failed test are a line, and nothing is read for it that changes.
import { describe, expect, test } from "bun:test";
import { inspect } from "node:util";
import {
  array,
  bitArray,
  joined,
  powerManagementCapability,
  r8,
  r16,
  r32,
  registerMap,
  ro,
  rw,
  wo,
  type RegisterIo,
} from "../../src/regs/index.ts";
import * as regs from "../../src/regs/index.ts";

const map = registerMap("card", 0x100, {
  id: r32(0x00, "ro"),
  status: r32(0x20, { busy: ro(0), speed: rw(2, 1, ["slow", "fast"]) }),
  doorbell: r8(0x24, "wo"),
  level: r8(0x28, "rw"),
  limit: r8(0x29, "rw"),
  mixed: r16(0x26, { state: ro(3, 0), start: wo(4) }),
  table: array(4, 8, { low: r32(0x40, "rw"), high: r32(0x44, { valid: rw(31) }) }),
  counts: array(2, 4, r32(0x60, "rc")),
  filter: bitArray(0x80, 64, "rw"),
  ring: joined(["level", "limit"]),
});
const memory = new DataView(new ArrayBuffer(0x100));
memory.setUint32(0x00, 0x010000ed, true);
memory.setUint32(0x20, 0x00000003, true);
memory.setUint32(0x4c, 0x80000000, true);
const view = map.view(memory);
/** A device whose registers nobody may touch. */
const untouched: RegisterIo = { read: () => expect.unreachable(), write: () => expect.unreachable() };
const live = map.live(untouched, 0x1000);

test.each<[string, object]>([
  [
    "RegisterMap card (256 bytes; id, status, doorbell, level, limit, mixed, table[4], counts[2], filter[64], ring)",
    map,
  ],
  ["RegisterReference card.id (32 bits at 0x0; ro)", map.register("id")],
  ["RegisterReference card.status (32 bits at 0x20; busy, speed)", map.register("status")],
  ["FieldReference card.status.busy (bit 0, ro)", map.field("status.busy")],
  ["FieldReference card.status.speed (bits 2:1, rw; slow, fast)", map.field("status.speed")],
  [
    "View card (id 0x010000ed, status 0x00000003, doorbell 0x00, level 0x00, limit 0x00, mixed 0x0000, table[4], counts[2], filter[64], ring)",
    view,
  ],
  ["View card.status (0x00000003; busy true, speed fast)", view.fields.status],
  ["ArrayView card.table (4)", view.table],
  ["View card.table[1] (low 0x00000000, high 0x80000000)", view.table.at(1)],
  ["View card.counts[1] (0x00000000)", view.counts.at(1)],
  ["BitsView card.filter (64)", view.filter],
  ["Live card (id, status, doorbell, level, limit, mixed, table[4], counts[2], filter[64], ring)", live],
  ["LiveRegister card.id (32 bits at 0x1000; read)", live.id],
  ["LiveRegister card.status (32 bits at 0x1020; read, modify, write)", live.status],
  ["LiveRegister card.doorbell (8 bits at 0x1024; write)", live.doorbell],
  ["LiveArray card.table (4)", live.table],
  ["Live card.table[3] (low, high)", live.table.at(3)],
  ["LiveRegister card.counts[1] (32 bits at 0x1064; read)", live.counts.at(1)],
  ["LiveBits card.filter (64)", live.filter],
  ["LiveValue card.ring (read, write)", live.ring],
])("%s", (line, what) => {
  expect(Bun.inspect(what)).toBe(line);
  expect(inspect(what)).toBe(line);
});

describe("a line", () => {
  test("has sixteen names at most, and says how many more there are", () => {
    expect(Bun.inspect(regs.endpointHeader)).toMatch(/^RegisterMap [^\n]* and \d+ more\)$/);
    const header = regs.endpointHeader.view(new DataView(new ArrayBuffer(64)));
    expect(Bun.inspect(header).match(/, /g)).toHaveLength(15);
  });

  test("is one of each map that there is, of its views and of its fields", () => {
    let maps = 0;
    for (const one of Object.values(regs))
      if (typeof one === "object" && "registers" in one && "View" in one) {
        maps++;
        const anyView = one.view(new DataView(new ArrayBuffer(one.size)));
        for (const what of [one, anyView, one.live(untouched)]) {
          expect(Bun.inspect(what)).toMatch(/^(RegisterMap|View|Live) [^\n]+ \([^\n]+\)$/);
          expect(Bun.inspect(what).length).toBeLessThan(800);
        }
      }
    expect(maps).toBeGreaterThan(40);
  });

  test("is there of memory that has no such bytes, or none any more", () => {
    const shrinking = new ArrayBuffer(map.size, { maxByteLength: map.size });
    const short = new map.View(new DataView(shrinking), 0);
    shrinking.resize(0x22);
    expect(Bun.inspect(short)).toContain("(id 0x00000000, status ?, ");
    expect(Bun.inspect(short.fields.status)).toBe("View card.status (?)");
    const buffer = new ArrayBuffer(0x100);
    const gone = map.view(new DataView(buffer));
    buffer.transfer();
    expect(Bun.inspect(gone)).toContain("(id ?, ");
  });

  test("is no property that a loop or a comparison finds", () => {
    expect(Object.keys(live.status)).toEqual(["read", "modify", "write"]);
    expect(Object.keys(powerManagementCapability)).toContain("registers");
    expect(live.id).toEqual({ read: expect.any(Function) as never });
  });
});
