import { describe, expect, test } from "bun:test";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { codeOf, drain, kinds, signal } from "./support.ts";

describe("INTx lines", () => {
  test("stay high until the end of the interrupt, which signals the resample eventfd", () => {
    using platform = new MemoryPlatform();
    using line = platform.interrupts.createIntx(1)!;
    const resample = line.resample!;
    expect(line.notifiesEndOfInterrupt).toBe(false);
    line.connect();
    line.connect();
    signal(line.eventfd);
    platform.deliver();
    signal(line.eventfd);
    platform.deliver();
    const high = { line: 0, pin: 1, connected: true, asserted: true, assertions: 1 };
    expect(platform.state().intx).toEqual([high]);
    expect(drain(resample)).toBe(0n);
    platform.endOfInterrupt(line);
    expect(drain(resample)).toBe(1n);
    platform.deliver();
    expect(platform.state().intx).toEqual([{ ...high, asserted: false }]);
    expect(codeOf(() => platform.endOfInterrupt(0))).toBe("EINVAL");
    expect(drain(resample)).toBe(0n);
    // The device still has a reason.
    signal(line.eventfd);
    platform.endOfInterrupt(0);
    expect(platform.state().intx[0]!.assertions).toBe(2);
    expect(kinds(platform)).toEqual(["intx-create", "intx-connect"]);
    expect(platform.delivered).toEqual([]);
  });

  test("without resampling tell the end by a call, where the platform promises it", () => {
    const ended: number[] = [];
    using platform = new MemoryPlatform({ resample: false, onEndOfInterrupt: (line) => ended.push(line) });
    using first = platform.interrupts.createIntx(1)!;
    using second = platform.interrupts.createIntx(4)!;
    expect([second.resample, second.notifiesEndOfInterrupt]).toEqual([undefined, true]);
    first.connect();
    second.connect();
    signal(second.eventfd);
    platform.deliver();
    expect(platform.state().intx.map(({ asserted }) => asserted)).toEqual([false, true]);
    platform.endOfInterrupt(second);
    expect(ended).toEqual([1]);
  });

  test("without resampling and without a promise have neither", () => {
    using platform = new MemoryPlatform({ resample: false });
    using line = platform.interrupts.createIntx(2)!;
    expect([line.resample, line.notifiesEndOfInterrupt]).toEqual([undefined, false]);
  });

  test("with resampling make no promise besides", () => {
    const ended: number[] = [];
    using platform = new MemoryPlatform({ onEndOfInterrupt: (line) => ended.push(line) });
    using line = platform.interrupts.createIntx(1)!;
    expect(line.notifiesEndOfInterrupt).toBe(false);
    line.connect();
    signal(line.eventfd);
    platform.endOfInterrupt(line);
    expect(ended).toEqual([]);
  });

  test("hold an event while they are disconnected, and fall when they are", () => {
    using platform = new MemoryPlatform();
    using line = platform.interrupts.createIntx(1)!;
    signal(line.eventfd);
    platform.deliver();
    expect(platform.state().intx[0]!.asserted).toBe(false);
    line.connect();
    expect(platform.state().intx[0]!.asserted).toBe(true);
    line.disconnect();
    line.disconnect();
    expect(platform.state().intx[0]).toMatchObject({ connected: false, asserted: false });
    expect(kinds(platform)).toEqual(["intx-create", "intx-connect", "intx-disconnect"]);
  });

  test("close once, and then refuse use", () => {
    using platform = new MemoryPlatform();
    const line = platform.interrupts.createIntx(1)!;
    line.connect();
    line[Symbol.dispose]();
    line[Symbol.dispose]();
    line.disconnect();
    expect(kinds(platform)).toEqual(["intx-create", "intx-connect", "intx-disconnect", "intx-close"]);
    expect(codeOf(() => line.connect())).toBe("ECLOSED");
    expect(codeOf(() => line.eventfd)).toBe("ECLOSED");
    expect(codeOf(() => line.resample)).toBe("ECLOSED");
    expect(() => platform.endOfInterrupt(line)).toThrow(TypeError);
    expect(() => platform.endOfInterrupt(0)).toThrow(RangeError);
    expect(platform.leaks()).toEqual([]);
  });

  test("are absent where the machine has none; a pin is 1 to 4", () => {
    using without = new MemoryPlatform({ intx: false });
    expect(without.interrupts.createIntx(1)).toBeUndefined();
    using platform = new MemoryPlatform();
    for (const bad of [0, 5, 1.5]) expect(() => platform.interrupts.createIntx(bad)).toThrow(RangeError);
  });
});
