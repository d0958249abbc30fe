import { describe, expect, test } from "bun:test";
import { SharedLifetime } from "../../../../src/device/backends/kernel/shared-lifetime.ts";

describe("what users share", () => {
  test("ends once, when its owner has let go and the last user has left, in either order", () => {
    for (const ownerFirst of [true, false]) {
      let ended = 0;
      const life = new SharedLifetime(
        () => "thing",
        () => ended++,
      );
      const leave = life.acquire();
      const leaveToo = life.acquire();
      const steps = [() => life.release(), leave, leave, leaveToo, () => life.release()];
      if (!ownerFirst) steps.push(steps.shift()!);
      for (const step of steps.slice(0, -1)) step();
      if (ownerFirst) expect(() => life.acquire()).toThrow("thing is closed");
      steps.at(-1)!();
      expect(ended).toBe(1);
    }
  });
});
