// How often each property is tried: all of it in CI, a twentieth elsewhere so that the tests stay quick to run.
// fast-check prints the seed and the smallest failing case by itself.
const ci = {
  configSpaces: 25_000,
  configPairs: 8_000,
  mutatedRecordings: 8_000,
  attachAnything: 10_000,
  scarcePlatforms: 3_000,
  faults: 5_000,
  detachFaults: 2_000,
  callbacks: 3_000,
  guestSequences: 20_000,
  images: 8_000,
  traces: 5_000,
  snapshots: 5_000,
  damagedSnapshots: 5_000,
} as const;

/** Names of all properties. */
export const properties = Object.keys(ci) as (keyof typeof ci)[];

/** fast-check's parameters for a property. @param inCi whether all of it is tried */
export const runs = (
  property: keyof typeof ci,
  inCi = Boolean(process.env["CI"]),
): { readonly numRuns: number; readonly includeErrorInReport: boolean } => ({
  includeErrorInReport: true,
  numRuns: inCi ? ci[property] : ci[property] / 20,
});
