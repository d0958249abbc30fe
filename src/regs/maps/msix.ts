import { composed } from "../derived.ts";
import { standardCapability, standardHead } from "../capability.ts";
import { emulated, hex, ro, rw, scaled } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { capabilityId } from "./ids.ts";

/** MSI-X Capability, PCI Express Base Specification 7.7.2. The vectors live in a BAR; see `msixTableEntry`. */
export const msixCapability = ownMap("MSI-X", 12, () => ({
  ...standardHead,
  // vfio-pci drops guest writes of this register: vectors are armed through VFIO_DEVICE_SET_IRQS alone.
  control: emulated(
    r16(
      0x02,
      {
        /** Entries of the table less one. */
        tableSize: ro(10, 0, "LastVector"),
        functionMask: rw(14, "Masked"),
        enable: rw(15, "Enable"),
      },
      "Control",
    ),
  ),
  table: emulated(
    r32(0x04, { bir: ro(2, 0, "BAR"), offset: hex(scaled(ro(31, 3, "offset"), 8)) }, "Vector table"),
  ),
  /** How many vectors the table has. */
  vectors: composed(["control.tableSize"], (last) => last + 1, { label: "Count" }),
  pba: emulated(r32(0x08, { bir: ro(2, 0, "BAR"), offset: hex(scaled(ro(31, 3, "offset"), 8)) }, "PBA")),
}));

/** One entry of the MSI-X table, in the memory of a BAR: PCI Express Base Specification 7.7.2.5 to 7.7.2.8. */
export const msixTableEntry = ownMap("MSI-X table entry", 16, () => ({
  /** A multiple of 4. */
  addressLow: hex(r32(0x00, "rw")),
  addressHigh: hex(r32(0x04, "rw")),
  data: hex(r32(0x08, "rw")),
  vectorControl: r32(0x0c, {
    masked: rw(0),
    /** Of TPH, where the table holds the steering tags; reserved otherwise. */
    steeringTagLow: hex(rw(23, 16)),
    steeringTagHigh: hex(rw(31, 24)),
  }),
}));

export const msix = standardCapability(capabilityId.msix, "MSI-X", msixCapability);
