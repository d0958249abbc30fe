/** Latency in ns, `value * 32^scale`, PCI Express Base Specification 6.18; undefined for a scale that is not permitted. */
export const latency = (value: number, scale: number): number | undefined =>
  scale > 5 ? undefined : value * 32 ** scale;
