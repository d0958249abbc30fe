import { composed } from "../derived.ts";

/** A power in W, or that it is above that much. */
export interface PowerLimit {
  readonly [name: string]: number | boolean;
  /** In W. */
  readonly watts: number;
  /** It is more. */
  readonly above: boolean;
}

/**
 * Slot Power Limit, from its value and the exponent of its scale: PCI Express Base Specification 7.5.3.3 and 7.5.3.9. With a scale
 * of 1 the values from 0xf0 on are steps of 25 W from 250 W, and the last one is "more than 600 W".
 */
export function powerLimit(value = 0, exponent = 0): PowerLimit {
  if (exponent > 0) return { watts: value / 10 ** exponent, above: false };
  if (value < 0xf0) return { watts: value, above: false };
  return value === 0xff ? { watts: 600, above: true } : { watts: 250 + 25 * (value - 0xf0), above: false };
}

export const powerText = ({ watts, above }: PowerLimit): string => `${above ? ">" : ""}${watts}W`;

/** What `powerLimit` tells of two fields. */
export const slotPower = <const P extends string>(limit: P, scale: P, label: string) =>
  composed([limit, scale], powerLimit, { label, text: powerText });
