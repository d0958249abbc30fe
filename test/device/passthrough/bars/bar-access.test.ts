import { expect, test } from "bun:test";
import { attach, bytesOf, memory, mmioRead } from "../../../support/attached.ts";

test("defect 52: a BAR read that fails is all ones, whatever the buffer held", () => {
  using guest = attach({ bars: { 0: { size: 0x1000 } } });
  guest.device.configWrite(0x04, 2, memory);
  const base = guest.device.configRead(0x10, 4);
  guest.backend.fails = ({ kind }) => kind === "read" || kind === "write";
  const data = bytesOf(0x12345678, 4);
  expect(guest.device.mmioRead(base, data)).toBe(true);
  expect(data).toEqual(bytesOf(0xffffffff, 4));
  expect(guest.device.mmioWrite(base, bytesOf(1, 4))).toBe(true);
  expect(guest.eventsOf("access-failed").map(({ message }) => message)).toEqual([
    "BAR0 read of 4 at 0x0: all ones: read fails as told",
    "BAR0 write of 4 at 0x0: dropped: write fails as told",
  ]);
  const outside = bytesOf(0x12345678, 4);
  expect(guest.device.mmioRead(base + 0x100000, outside)).toBe(false);
  expect(outside).toEqual(bytesOf(0xffffffff, 4));
  guest.backend.fails = () => false;
});

test("defect 53: a trapped access is one access of the device, and nothing else", () => {
  using guest = attach({ bars: { 0: { size: 0x1000, mappable: false } } });
  guest.device.configWrite(0x04, 2, memory);
  const base = guest.device.configRead(0x10, 4);
  const calls = guest.backend.calls.length;
  guest.platform.clearRecord();
  guest.device.mmioWrite(base + 8, bytesOf(0x1234, 4));
  expect(mmioRead(guest.device, base + 8, 4)).toBe(0x1234);
  expect(guest.backend.calls.slice(calls)).toEqual([
    { kind: "write", region: 0, offset: 8, size: 4 },
    { kind: "read", region: 0, offset: 8, size: 4 },
  ]);
  expect(guest.platform.actions).toEqual([]);
});
