import { standardCapability, standardHead } from "../capability.ts";
import { hex, ro, scaled, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { capabilityId } from "./ids.ts";

const registers = {
  ...standardHead,
  revision: r16(0x02, { minor: ro(3, 0), major: ro(7, 4) }, "Version"),
  location: r32(
    0x04,
    {
      bar: ro(3, 0, { BAR0: 4, BAR1: 5, BAR2: 6, BAR3: 7, BAR4: 8, BAR5: 9, InCfgSpace: 15 }, "Location"),
      offset: hex(scaled(ro(23, 4, "Offset"), 4)),
    },
    "Index-data pair",
  ),
} as const;

/** Serial ATA capability, Serial ATA AHCI 1.3.1, 2.4: where the index-data pair lies. */
export const sataCapability = ownMap("SATA", 8, () => registers);
/** The same with the index-data pair in the capability itself. */
export const sataPairCapability = ownMap("SATA", 16, () => ({
  ...registers,
  index: hex(r32(0x08, "rw")),
  data: volatile(hex(r32(0x0c, "rw"))),
}));

export const sata = standardCapability(capabilityId.sata, "SATA", (config, at, limit) =>
  limit >= 16 && (config.getUint8(at + 4) & 0xf) === 15 ? sataPairCapability : sataCapability,
);
