import { standardCapability, standardHead } from "../capability.ts";
import { composed } from "../derived.ts";
import { ro, rw, rw1cs, rws, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r8 } from "../register.ts";
import { capabilityId } from "./ids.ts";

/** Power Management Capability, PCI Express Base Specification 7.5.2 and PCI Power Management 1.2, 3.2. */
export const powerManagementCapability = ownMap("PM", 8, () => ({
  ...standardHead,
  capabilities: r16(
    0x02,
    {
      version: ro(2, 0, "Version"),
      pmeClock: ro(3, "PMEClk"),
      immediateReadiness: ro(4, "ImmReady"),
      deviceSpecificInit: ro(5, "DSI"),
      /** In mA. */
      auxCurrent: ro(8, 6, ["0", "55", "100", "160", "220", "270", "320", "375"], "AuxCurrent"),
      d1: ro(9, "D1"),
      d2: ro(10, "D2"),
      pmeD0: ro(11, "PME: D0"),
      pmeD1: ro(12, "PME: D1"),
      pmeD2: ro(13, "PME: D2"),
      pmeD3hot: ro(14, "PME: D3hot"),
      pmeD3cold: ro(15, "PME: D3cold"),
    },
    "Flags",
  ),
  control: r16(
    0x04,
    {
      powerState: rw(1, 0, ["D0", "D1", "D2", "D3"], "State"),
      noSoftReset: ro(3, "NoSoftRst"),
      pmeEnable: rws(8, "PME-Enable"),
      dataSelect: rw(12, 9, "DSel"),
      dataScale: ro(14, 13, "DScale"),
      pmeStatus: volatile(rw1cs(15, "PME")),
    },
    "Status",
  ),
  // Bridges only, and reserved in PCI Express; the bit is clear where D3hot takes the bus to B3.
  bridge: r8(0x06, { b2OnD3hot: ro(6, "B2"), busPowerControl: ro(7, "PM") }, "Bridge"),
  /** What `dataSelect` chose. */
  data: r8(0x07, "ro", "Data"),
  /** The same in watts; undefined without a scale. */
  power: composed(
    ["data", "control.dataScale"],
    (value, scale) => (scale === 0 ? undefined : value! / 10 ** scale!),
    { label: "Data power", unit: "W" },
  ),
}));

export const powerManagement = standardCapability(
  capabilityId.powerManagement,
  "PM",
  powerManagementCapability,
);
