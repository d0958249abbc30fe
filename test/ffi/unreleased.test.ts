import { expect, test } from "bun:test";
import fc from "fast-check";
import { Unreleased } from "../../src/ffi/unreleased.ts";

function made() {
  const refuse = new Set<string>();
  const tried: string[] = [];
  const told: string[] = [];
  const left = new Unreleased<string>(
    (item) => {
      tried.push(item);
      if (refuse.has(item)) throw new Error(`${item} is kept`);
    },
    (item, cause) => told.push(`${item}: ${(cause as Error).message}`),
  );
  return { refuse, tried, told, left };
}

test("what is given back is gone, the newest first; nothing is told", () => {
  const { left, tried, told } = made();
  for (const item of ["a", "b", "c"]) left.add(item);
  expect([...left]).toEqual(["a", "b", "c"]);
  expect(left.settle()).toEqual([]);
  expect([tried, told, left.size]).toEqual([["c", "b", "a"], [], 0]);
});

test("what is refused keeps no other, is told of once, and is tried again", () => {
  const { left, tried, told, refuse } = made();
  refuse.add("b");
  for (const item of ["a", "b", "c"]) left.add(item);
  expect(left.settle()).toEqual([new Error("b is kept")]);
  expect(left.settle()).toEqual([new Error("b is kept")]);
  expect(() => left.settleOrThrow()).toThrow("b is kept");
  expect(told).toEqual(["b: b is kept"]);
  expect(tried).toEqual(["c", "b", "a", "b", "b"]);
  expect([left.some((item) => item === "b"), left.some((item) => item === "a")]).toEqual([true, false]);
  refuse.clear();
  left.settleOrThrow();
  expect([left.size, told.length]).toEqual([0, 1]);
});

test("what is refused for another cause is told of again", () => {
  const causes = ["busy", "busy", "gone", "gone", "busy"];
  const told: string[] = [];
  const left = new Unreleased<string>(
    () => {
      throw new Error(causes.shift());
    },
    (_, cause) => told.push((cause as Error).message),
  );
  left.add("a");
  for (let times = 0; times < 5; times++) left.settle();
  expect(told).toEqual(["busy", "gone", "busy"]);
});

test("what is added twice is given back once; what comes back later is told of again", () => {
  const { left, tried, told, refuse } = made();
  left.add("a");
  left.add("a");
  expect(left.size).toBe(1);
  refuse.add("a");
  left.settle();
  refuse.clear();
  left.settle();
  left.add("a");
  refuse.add("a");
  left.settle();
  expect(tried).toHaveLength(3);
  expect(told).toHaveLength(2);
});

test("what is still needed stays, and that is no failure", () => {
  let needed = true;
  const left = new Unreleased<number>(
    () => (needed ? false : undefined),
    () => expect.unreachable(),
  );
  left.add(1);
  expect([left.settle(), left.size]).toEqual([[], 1]);
  needed = false;
  expect([left.settle(), left.size]).toEqual([[], 0]);
});

test("the first refusal is thrown, after everything was tried", () => {
  const { left, tried, refuse } = made();
  for (const item of ["a", "b", "c"]) left.add(item);
  refuse.add("a").add("c");
  expect(() => left.settleOrThrow()).toThrow("c is kept");
  expect(tried).toEqual(["c", "b", "a"]);
  expect([...left]).toEqual(["a", "c"]);
});

test("what is added, or settled, in the middle of a settling is not lost, and given back once", () => {
  const gone: number[] = [];
  const left: Unreleased<number> = new Unreleased((item) => {
    if (item === 1) {
      left.add(2);
      left.settle();
    }
    gone.push(item);
  });
  left.add(0);
  left.add(1);
  left.settle();
  expect([gone, [...left]]).toEqual([[1, 0], [2]]);
});

test("whatever is refused and when: each thing goes once, each failure is told once", () => {
  const round = fc.record({ add: fc.array(fc.nat(9)), refuse: fc.uniqueArray(fc.nat(9)) });
  fc.assert(
    fc.property(fc.array(round), (rounds) => {
      const held = new Set<number>();
      const told = new Set<number>();
      let refuse = new Set<number>();
      const left = new Unreleased<number>(
        (item) => {
          if (refuse.has(item)) throw item;
          expect(held.delete(item)).toBe(true);
          told.delete(item);
        },
        (item) => {
          expect(told.has(item)).toBe(false);
          told.add(item);
        },
      );
      for (const each of rounds) {
        for (const item of each.add) {
          held.add(item);
          left.add(item);
        }
        refuse = new Set(each.refuse);
        const causes = left.settle();
        expect(new Set(causes)).toEqual(held);
        expect(new Set(left)).toEqual(held);
      }
    }),
  );
});
