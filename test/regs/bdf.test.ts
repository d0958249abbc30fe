import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  bdfOfRequesterId,
  formatBdf,
  packBdf,
  parseBdf,
  requesterId,
  unpackBdf,
} from "../../src/regs/bdf.ts";

const bdf = fc.record({
  segment: fc.nat(0xffff),
  bus: fc.nat(0xff),
  device: fc.nat(0x1f),
  function: fc.nat(7),
});

test("a BDF reads with and without its segment, in either case", () => {
  expect(parseBdf("01:00.0")).toEqual({ segment: 0, bus: 1, device: 0, function: 0 });
  expect(parseBdf("0000:01:00.0")).toEqual(parseBdf("01:00.0"));
  expect(parseBdf("ABCD:Fe:1F.7")).toEqual({ segment: 0xabcd, bus: 0xfe, device: 0x1f, function: 7 });
  expect(formatBdf(parseBdf("10000:e1:00.0"))).toBe("10000:e1:00.0");
});

test("what is no BDF is refused with the reason", () => {
  const faults: [string, RegExp][] = [
    ["", /"" is no BDF/],
    ["nvme0", /written bus:device.function/],
    ["01:00", /written bus:device.function/],
    ["01:20.0", /device 20 is above 1f/],
    ["01:00.8", /function 8 is above 7/],
    ["0000:01:00.0\n", /is no BDF/],
    ["000000000:01:00.0", /is no BDF/],
    ["x".repeat(1000), /^"x{40}\.\.\." is no BDF/],
  ];
  for (const [text, message] of faults) {
    expect(() => parseBdf(text)).toThrow(message);
    expect(() => parseBdf(text)).toThrow(RangeError);
  }
  expect(() => parseBdf(1 as never)).toThrow(TypeError);
});

test("text, requester ID and packed form each come back", () => {
  fc.assert(
    fc.property(bdf, (each) => {
      expect(parseBdf(formatBdf(each))).toEqual(each);
      expect(bdfOfRequesterId(requesterId(each), each.segment)).toEqual(each);
      expect(unpackBdf(packBdf(each))).toEqual(each);
    }),
  );
  expect(requesterId(parseBdf("12:1f.7"))).toBe(0x12ff);
  expect(packBdf(parseBdf("ffff:ff:1f.7"))).toBe(0xffffffff);
});

test("parts that do not fit are refused", () => {
  const zero = { segment: 0, bus: 0, device: 0, function: 0 };
  expect(() => formatBdf({ ...zero, bus: 256 })).toThrow(RangeError);
  expect(() => formatBdf({ ...zero, device: 0.5 })).toThrow(RangeError);
  expect(() => requesterId({ ...zero, function: "1" as never })).toThrow(TypeError);
  expect(() => packBdf({ ...zero, segment: 0x10000 })).toThrow(RangeError);
  expect(() => unpackBdf(-1)).toThrow(RangeError);
  expect(() => bdfOfRequesterId(0x10000)).toThrow(RangeError);
});
