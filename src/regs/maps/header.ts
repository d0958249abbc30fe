import { composed } from "../derived.ts";
import { hex } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32, r8 } from "../register.ts";
import { regions } from "./bar-values.ts";
import {
  bar,
  commonHeader,
  conventionalRegisters,
  firstRegisters,
  rom,
  withoutBist,
} from "./header-common.ts";

export * from "./bridge-header.ts";
export * from "./cardbus-header.ts";
export type { Region } from "./bar-values.ts";
export type { Window } from "./bridge-windows.ts";
export { commonHeader } from "./header-common.ts";

/** Of conventional PCI, in ns; undefined for 0, which asks for nothing: PCI Local Bus Specification 3.0, 6.2.4. */
const busTime = <const P extends string>(register: P, label: string) =>
  composed([register], (units) => (units === 0 ? undefined : 250 * units!), { label, unit: "ns" });

/** Type 0 configuration space header, PCI Express Base Specification 7.5.1.2. */
export const endpointHeader = ownMap("type 0 header", 64, () => ({
  ...commonHeader,
  bar0: bar(0x10),
  bar1: bar(0x14),
  bar2: bar(0x18),
  bar3: bar(0x1c),
  bar4: bar(0x20),
  bar5: bar(0x24),
  cardbusCisPointer: hex(r32(0x28, "hwinit")),
  subsystemVendorId: hex(r16(0x2c, "hwinit", "Subsystem: vendor")),
  subsystemId: hex(r16(0x2e, "hwinit", "Subsystem: device")),
  rom: rom(0x30),
  /** In units of 250 ns. */
  minGrant: r8(0x3e, "hwinit"),
  /** In units of 250 ns. */
  maxLatency: r8(0x3f, "hwinit"),
  burstTime: busTime("minGrant", "Burst time"),
  busLatency: busTime("maxLatency", "Longest latency"),
  ...regions(6),
}));

const variant = (more: object) =>
  ownMap(
    "type 0 header",
    64,
    () => ({ ...endpointHeader.entries, ...more }) as typeof endpointHeader.entries,
  );
/** The header of an endpoint without a self test. */
export const endpointHeaderWithoutBist = variant(withoutBist);
/** The header of a function of conventional PCI. */
export const conventionalEndpointHeader = variant(conventionalRegisters);
/** The same without a self test. */
export const conventionalEndpointHeaderWithoutBist = variant({ ...conventionalRegisters, ...withoutBist });

/** Of a header whose layout has no map: the 16 bytes that all layouts share. */
export const unknownHeader = ownMap("unknown header", 16, () => firstRegisters);
