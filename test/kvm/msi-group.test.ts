import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { MsiMessage, VectorChange } from "../../src/device/seam/platform.ts";
import { VfioError } from "../../src/ffi/errors.ts";
import { KvmInterrupts } from "../../src/kvm/interrupts.ts";
import { openDescriptors } from "../support/descriptors.ts";
import { RecordedIrqCalls } from "../support/irq-calls.ts";

const message = (data: number): MsiMessage => ({
  addressLow: 0xfee0_0000,
  addressHigh: 0,
  data,
  deviceId: 0x100,
});
const on = (vector: number, data = vector): VectorChange => ({ vector, message: message(data) });
const off = (vector: number): VectorChange => ({ vector, message: undefined });

function made(limit = 4096) {
  const calls = new RecordedIrqCalls();
  const interrupts = new KvmInterrupts(calls, { chips: [], first: 24, limit }, { resamples: true });
  return { calls, interrupts };
}

describe("one guest write is one routing table, however many vectors it changes", () => {
  test.each([1, 16, 64, 2048])("%d vectors unmasked", (count) => {
    const { calls, interrupts } = made();
    using _ = interrupts;
    const group = interrupts.createMsiGroup(count);
    group.update(Array.from({ length: count }, (_, vector) => on(vector)));
    expect(calls.calls[0]).toBe(`routing ${count}`);
    expect(calls.calls.filter((call) => call.startsWith("routing"))).toHaveLength(1);
    expect(calls.irqfds.size).toBe(count);
  });

  test("masking costs no table, nor does unmasking with the message of before", () => {
    const { calls, interrupts } = made();
    using _ = interrupts;
    const group = interrupts.createMsiGroup(4);
    group.update([on(0), on(1)]);
    calls.restart();
    group.update([off(0)]);
    group.update([on(0)]);
    expect(calls.calls).toEqual(["off 24", "on 24"]);
  });

  test("another message of a routed vector changes the table and leaves the irqfd on", () => {
    const { calls, interrupts } = made();
    using _ = interrupts;
    const group = interrupts.createMsiGroup(1);
    group.update([on(0, 1)]);
    calls.restart();
    group.update([on(0, 2)]);
    expect(calls.calls).toEqual(["routing 1"]);
    group.signal(0);
    expect(calls.inject()).toEqual([message(2)]);
  });
});

test("irqfds go before their route, and come after it", () => {
  const { calls, interrupts } = made();
  using _ = interrupts;
  const group = interrupts.createMsiGroup(2);
  group.update([on(0)]);
  calls.restart();
  group.update([off(0), on(1)]);
  expect(calls.calls).toEqual(["off 24", "routing 1", "on 25"]);
});

test("an event that comes while a vector is masked is pending, and delivered when it is unmasked", () => {
  const { calls, interrupts } = made();
  using _ = interrupts;
  const group = interrupts.createMsiGroup(1);
  group.update([on(0)]);
  group.update([off(0)]);
  group.signal(0);
  expect(group.pending(0)).toBe(true);
  group.update([on(0)]);
  expect(group.pending(0)).toBe(false);
  expect(calls.inject()).toEqual([message(0)]);
  group.update([off(0)]);
  group.signal(0);
  group.discard(0);
  expect(group.pending(0)).toBe(false);
});

test("GSIs are held by routed vectors only: groups may have more vectors than KVM has GSIs", () => {
  const { interrupts } = made(30);
  using _ = interrupts;
  const first = interrupts.createMsiGroup(2048);
  const second = interrupts.createMsiGroup(2048);
  first.update([0, 1, 2, 3].map((vector) => on(vector)));
  expect(() => second.update([0, 1, 2].map((vector) => on(vector)))).toThrow(
    "all 6 GSIs for messages are in use",
  );
  expect(interrupts.routes).toBe(4);
  first.update([off(0)]);
  second.update([0, 1, 2].map((vector) => on(vector)));
  expect(interrupts.routes).toBe(6);
});

test("with no GSI free, vectors that are routed take those of the ones withdrawn with them", () => {
  const { calls, interrupts } = made(26);
  using _ = interrupts;
  const group = interrupts.createMsiGroup(4);
  group.update([on(0), on(1)]);
  group.update([on(2), off(0), on(3), off(1)]);
  for (const vector of [2, 3]) {
    group.signal(vector);
    expect(calls.inject()).toEqual([message(vector)]);
  }
  expect(interrupts.routes).toBe(2);
});

test("the table's length counts the pins of the interrupt chips", () => {
  const calls = new RecordedIrqCalls();
  const chips = Array.from({ length: 10 }, (_, pin) => ({ gsi: pin % 4, chip: 2, pin }));
  using interrupts = new KvmInterrupts(calls, { chips, first: 4, limit: 12 }, undefined);
  const group = interrupts.createMsiGroup(8);
  group.update([on(0), on(1)]);
  expect(() => group.update([on(2)])).toThrow("the interrupt routing table has 12 entries, 13 are wanted");
  expect(calls.irqfds.size).toBe(2);
  expect(interrupts.createLine(3)).toBeUndefined();
});

test("a closed group and a vector that is not there are refused", () => {
  const { interrupts } = made();
  using _ = interrupts;
  const group = interrupts.createMsiGroup(2);
  expect(() => group.update([on(2)])).toThrow("vector 2 is not one of 0 to 1");
  group[Symbol.dispose]();
  expect(() => group.eventfd(0)).toThrow(expect.objectContaining({ code: "ECLOSED" }));
  expect(() => interrupts.createMsiGroup(2049)).toThrow(RangeError);
});

test("wherever an update fails, nothing has changed, and no event is lost", () => {
  const change = fc.record({ vector: fc.nat(5), data: fc.option(fc.nat(2), { nil: undefined }) });
  const steps = fc.array(fc.record({ changes: fc.array(change, { maxLength: 6 }), failAt: fc.nat(8) }), {
    maxLength: 12,
  });
  const before = openDescriptors();
  fc.assert(
    fc.property(steps, (sequence) => {
      const { calls, interrupts } = made(28);
      const group = interrupts.createMsiGroup(6);
      const wanted = new Map<number, number>();
      const eventfds = Array.from({ length: 6 }, (_, vector) => group.eventfd(vector));
      for (const { changes, failAt } of sequence) {
        calls.restart(failAt === 0 ? undefined : failAt);
        try {
          group.update(
            changes.map(({ vector, data }) => (data === undefined ? off(vector) : on(vector, data))),
          );
          for (const { vector, data } of changes)
            if (data === undefined) wanted.delete(vector);
            else wanted.set(vector, data);
        } catch (error) {
          if (!(error instanceof VfioError)) throw error;
        }
        calls.restart();
        expect(calls.irqfds.size).toBe(wanted.size);
        expect(interrupts.routes).toBe(wanted.size);
        for (let vector = 0; vector < 6; vector++) {
          group.signal(vector);
          const data = wanted.get(vector);
          expect(calls.inject()).toEqual(data === undefined ? [] : [message(data)]);
          expect(calls.irqfds.has(eventfds[vector]!)).toBe(data !== undefined);
          expect(group.pending(vector)).toBe(data === undefined);
          group.discard(vector);
        }
      }
      interrupts[Symbol.dispose]();
      expect(calls.irqfds.size).toBe(0);
      expect(interrupts.routes).toBe(0);
    }),
    { numRuns: 200 },
  );
  expect(openDescriptors()).toEqual(before);
});
