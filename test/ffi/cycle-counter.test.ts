import { expect, test } from "bun:test";
import { counterCode, cycleCounter } from "../../src/ffi/cycle-counter.ts";

// As an assembler gives them.
test("the counter is five instructions on x86-64, three on aarch64", () => {
  expect(counterCode("x64").toHex()).toBe("0f31" + "48c1e220" + "4809d0" + "f2480f2ac0" + "c3");
  expect(counterCode("arm64").toHex()).toBe("40e03bd5" + "0000629e" + "c0035fd6");
});

test("it grows, at the rate that it says", async () => {
  const { now, perSecond } = cycleCounter();
  const [start, since] = [now(), performance.now()];
  await Bun.sleep(200);
  const seconds = (now() - start) / perSecond;
  expect(seconds / ((performance.now() - since) / 1000)).toBeWithin(0.8, 1.25);
  expect(cycleCounter().now).toBe(now);
});
