import { expect, test } from "bun:test";
import fc from "fast-check";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import type { MsiGroup } from "../../../../src/device/seam/platform.ts";
import { codeOf, message } from "./support.ts";

test("whatever is updated, signalled and refused: routes are irqfds, and no event is lost", () => {
  const vectors = 4;
  const change = fc.record({
    vector: fc.nat(vectors - 1),
    data: fc.option(fc.nat(3), { nil: undefined }),
  });
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("update" as const),
      changes: fc.uniqueArray(change, { maxLength: vectors, selector: ({ vector }) => vector }),
    }),
    fc.record({ kind: fc.constant("signal" as const), vector: fc.nat(vectors - 1) }),
    fc.record({
      kind: fc.constant("fail" as const),
      which: fc.constantFrom("irqfd-off" as const, "set-routing" as const, "irqfd-on" as const),
    }),
    fc.constant({ kind: "deliver" as const }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      using platform = new MemoryPlatform({ maxRoutes: 3 });
      const group: MsiGroup = platform.interrupts.createMsiGroup(vectors);
      const routed = new Map<number, number>();
      const expected: [number, number][] = [];
      const waiting = new Set<number>();
      for (const one of steps) {
        if (one.kind === "fail") platform.failNext(one.which);
        else if (one.kind === "deliver") platform.deliver();
        else if (one.kind === "signal") {
          group.signal(one.vector);
          waiting.add(one.vector);
        } else {
          const before = platform.state();
          const changes = one.changes.map(({ vector, data }) => ({
            vector,
            message: data === undefined ? undefined : message(data),
          }));
          const code = codeOf(() => group.update(changes));
          const inject = (vector: number) => {
            const data = routed.get(vector);
            if (data !== undefined && waiting.delete(vector)) expected.push([vector, data]);
          };
          if (code !== "ENOSPC")
            for (const { vector, data } of one.changes) if (routed.get(vector) !== data) inject(vector);
          if (code !== undefined) {
            expect(["EIO", "ENOSPC"]).toContain(String(code));
            expect(platform.state()).toEqual(before);
          } else
            for (const { vector, data } of one.changes) {
              const isNew = !routed.has(vector);
              if (data === undefined) routed.delete(vector);
              else routed.set(vector, data);
              if (isNew) inject(vector);
            }
        }
        if (one.kind === "deliver")
          for (const [vector, data] of routed) if (waiting.delete(vector)) expected.push([vector, data]);
        const { routes, irqfds } = platform.state();
        expect(routes.map(({ vector, message: { data } }) => [vector, data])).toEqual(
          [...routed].sort(([a], [b]) => a - b),
        );
        expect(irqfds.map(({ vector }) => vector)).toEqual(routes.map(({ vector }) => vector));
        for (let vector = 0; vector < vectors; vector++)
          expect(group.pending(vector)).toBe(waiting.has(vector) && !routed.has(vector));
      }
      platform.deliver();
      for (const [vector, data] of routed) if (waiting.delete(vector)) expected.push([vector, data]);
      const byVector = (list: [number, number][]) => list.sort(([a], [b]) => a - b);
      expect(
        byVector(platform.delivered.map(({ vector, message: { data } }): [number, number] => [vector, data])),
      ).toEqual(byVector(expected));
    }),
    { numRuns: 300 },
  );
});
