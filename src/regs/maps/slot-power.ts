import { composed } from "../derived.ts";

/**
 * Slot Power Limit in W, from its value and the exponent of its scale: PCI Express Base Specification 7.5.3.3 and 7.5.3.9. With
 * a scale of 1 the values from 0xf0 on are steps of 25 W from 250 W, and the last one is "more than 600 W": given as Infinity
 * would be no data, so as 600, and in words as what it is.
 */
export const slotPower = <const P extends string>(limit: P, scale: P, label: string) =>
  composed(
    [limit, scale],
    (value = 0, exponent = 0): { readonly watts: number; readonly above: boolean } => {
      if (exponent > 0) return { watts: value / 10 ** exponent, above: false };
      if (value < 0xf0) return { watts: value, above: false };
      return value === 0xff
        ? { watts: 600, above: true }
        : { watts: 250 + 25 * (value - 0xf0), above: false };
    },
    { label, text: ({ watts, above }) => `${above ? ">" : ""}${watts}W` },
  );
