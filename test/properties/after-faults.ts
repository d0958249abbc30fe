// What holds of a device once what refused it no longer does: a reset mends it, or it was found to be gone for good.
import { expect } from "bun:test";
import { refusal } from "../support/refusal.ts";
import type { Effects } from "./property.ts";
import type { Attached } from "../support/attached.ts";

/** @returns whether the device is there and was reset; one that is gone stays so, and decodes nothing */
export function resetAfterFaults(guest: Attached, effects: Effects): boolean {
  if (guest.eventsOf("device-gone").length === 0) {
    guest.device.reset();
    effects.count("mended");
    return true;
  }
  effects.count("gone");
  expect(guest.eventsOf("device-gone")).toHaveLength(1);
  expect(refusal(() => guest.device.reset()).code).toBe("ENODEV");
  expect(guest.device.configRead(0x00, 4)).toBe(0xffff_ffff);
  guest.device.configWrite(0x04, 2, 7);
  expect(guest.device.describe().bars.filter(({ base }) => base !== undefined)).toEqual([]);
  return false;
}
