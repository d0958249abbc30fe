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
  requesterId: 0x100,
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

/** The code of what is thrown. */
function codeOf(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return (error as VfioError).code;
  }
}

describe("an irqfd that KVM does not take off", () => {
  test("keeps its GSI until another group is closed, and no other vector open", () => {
    const before = openDescriptors();
    const { calls, interrupts } = made(26);
    const [first, second] = [interrupts.createMsiGroup(2), interrupts.createMsiGroup(2)];
    first.update([on(0), on(1)]);
    calls.restart(1);
    expect(codeOf(() => first[Symbol.dispose]())).toBe("EIO");
    expect([calls.irqfds.size, interrupts.routes]).toEqual([1, 1]);
    first[Symbol.dispose]();
    expect(calls.irqfds.size).toBe(1);
    calls.restart();
    second[Symbol.dispose]();
    expect([calls.irqfds.size, interrupts.routes]).toEqual([0, 0]);
    interrupts[Symbol.dispose]();
    expect(openDescriptors()).toEqual(before);
  });

  test("gives its GSI to who needs one, once KVM lets go", () => {
    const { calls, interrupts } = made(28);
    using _ = interrupts;
    for (let i = 0; i < 4; i++) {
      const group = interrupts.createMsiGroup(1);
      group.update([on(0)]);
      calls.restart(1, Infinity);
      expect(codeOf(() => group[Symbol.dispose]())).toBe("EIO");
      calls.restart();
      if (i === 0) expect(calls.irqfds.size).toBe(1);
    }
    const group = interrupts.createMsiGroup(4);
    group.update([0, 1, 2, 3].map((vector) => on(vector)));
    expect([calls.irqfds.size, interrupts.routes]).toEqual([4, 4]);
  });

  test("of a line is tried again too", () => {
    const before = openDescriptors();
    const { calls, interrupts } = made();
    const line = interrupts.createLine(5)!;
    line.connect();
    calls.restart(1);
    expect(codeOf(() => line[Symbol.dispose]())).toBe("EIO");
    line[Symbol.dispose]();
    expect([...calls.irqfds.values()]).toEqual([5]);
    interrupts.createMsiGroup(1)[Symbol.dispose]();
    expect(calls.irqfds.size).toBe(0);
    interrupts[Symbol.dispose]();
    expect(openDescriptors()).toEqual(before);
  });

  test("keeps no group, line or descriptor open at the end", () => {
    const before = openDescriptors();
    const { calls, interrupts } = made();
    for (let i = 0; i < 2; i++) interrupts.createMsiGroup(1).update([on(0)]);
    interrupts.createLine(5)!.connect();
    calls.restart(1, Infinity);
    expect(codeOf(() => interrupts[Symbol.dispose]())).toBe("EIO");
    expect(openDescriptors()).toEqual(before);
    interrupts[Symbol.dispose]();
  });
});

test("an update that cannot be taken back says what came first, by its code, and what came then", () => {
  const { calls, interrupts } = made();
  using _ = interrupts;
  const group = interrupts.createMsiGroup(3);
  calls.restart(3, 2);
  let failure: unknown;
  try {
    group.update([on(0), on(1), on(2)]);
  } catch (error) {
    failure = error;
  }
  calls.restart();
  expect(failure).toMatchObject({
    code: "EIO",
    message: "on 25 was made to fail; taking the update back fails too: off 24 was made to fail",
    cause: { errors: [{ code: "EIO" }, { code: "EIO" }] },
  });
  // It is what KVM has, and can be turned off.
  expect([calls.irqfds.size, interrupts.routes]).toEqual([1, 1]);
  group.update([off(0)]);
  expect([calls.irqfds.size, interrupts.routes]).toEqual([0, 0]);
});

test("whatever fails, and however often: no GSI is lost, and the next update that succeeds is what it says", () => {
  const change = fc.record({ vector: fc.nat(5), data: fc.option(fc.nat(2), { nil: undefined }) });
  const step = fc.record({
    changes: fc.array(change, { maxLength: 6 }),
    failAt: fc.nat(8),
    times: fc.integer({ min: 1, max: 6 }),
    close: fc.nat(9),
  });
  const before = openDescriptors();
  let failed = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (sequence) => {
      const { calls, interrupts } = made(28);
      let group = interrupts.createMsiGroup(6);
      for (const { changes, failAt, times, close } of sequence) {
        calls.restart(failAt === 0 ? undefined : failAt, times);
        try {
          if (close === 0) {
            const old = group;
            group = interrupts.createMsiGroup(6);
            old[Symbol.dispose]();
          } else
            group.update(
              changes.map(({ vector, data }) => (data === undefined ? off(vector) : on(vector, data))),
            );
        } catch (error) {
          if (!(error instanceof VfioError)) throw error;
          failed++;
        }
        calls.restart();
        expect(interrupts.routes).toBe(calls.irqfds.size);
        expect(new Set(calls.irqfds.values()).size).toBe(calls.irqfds.size);
      }
      group.update([0, 1, 2, 3, 4, 5].map((vector) => off(vector)));
      for (const routed of [
        [0, 1, 2, 3],
        [2, 3, 4, 5],
      ]) {
        group.update(
          [0, 1, 2, 3, 4, 5].map((vector) => (routed.includes(vector) ? on(vector) : off(vector))),
        );
        for (const vector of routed) {
          group.discard(vector);
          group.signal(vector);
          expect(calls.inject()).toEqual([message(vector)]);
        }
      }
      interrupts[Symbol.dispose]();
      expect([calls.irqfds.size, interrupts.routes]).toEqual([0, 0]);
    }),
    { numRuns: 500 },
  );
  expect(failed).toBeGreaterThan(500);
  expect(openDescriptors()).toEqual(before);
});

test("a vector that is not routed gives its eventfd back, and gets another when it wants one", () => {
  const before = openDescriptors();
  const { interrupts } = made(28);
  const group = interrupts.createMsiGroup(2);
  group.update([on(0, 1)]);
  const routed = openDescriptors().length;
  group.eventfd(1);
  group.signal(1);
  group.release!(0);
  group.release!(1);
  group.release!(1);
  expect(openDescriptors().length).toBe(routed);
  expect([group.pending(1), group.eventfd(1)]).toEqual([false, expect.any(Number)]);
  expect(() => group.release!(2)).toThrow(RangeError);
  interrupts[Symbol.dispose]();
  expect(openDescriptors()).toEqual(before);
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
