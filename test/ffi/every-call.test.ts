// Each system call of what needs no device is refused once, with each errno that it can have: an error with a code, or it is
// survived, and nothing is left; what has to wait for a thread, with one. Over devices, test/vm/suite/every-call.test.ts does the same.
import { afterAll, expect, test } from "bun:test";
import { everyCall, restoreCalls } from "../support/refusals.ts";
import { programs } from "../support/refused-calls.ts";

afterAll(restoreCalls);

for (const program of programs)
  test(
    program.name,
    async () => {
      const { calls, faults } = await everyCall(program, !program.settles);
      expect(faults).toEqual([]);
      expect(calls).toBeGreaterThan(3);
    },
    60_000,
  );
