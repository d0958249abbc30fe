import { describe, expect, test } from "bun:test";
import { waitAlive } from "../../../../src/device/backends/kernel/wait-ready.ts";

describe("waiting for a device", () => {
  test("ends when it answers, and gives up in time", () => {
    const answers = [undefined, 0xffff_ffff, 0x0108_0201];
    waitAlive("0000:01:00.0", () => answers.shift(), 1000);
    expect(answers).toEqual([]);
    let asked = 0;
    expect(() => waitAlive("0000:01:00.0", () => (asked++, 0xffff_ffff), 5)).toThrow(
      expect.objectContaining({
        code: "ETIMEDOUT",
        message: "0000:01:00.0: does not answer 5 ms after its reset",
      }),
    );
    expect(asked).toBe(4);
  });
});
