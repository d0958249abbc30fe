import { extendedCapability, extendedHead } from "../capability.ts";
import { hex } from "../field.ts";
import { ownMap } from "../map.ts";
import { r64 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";

/** Device Serial Number (an EUI-64), PCI Express Base Specification 7.9.3. */
export const serialNumberCapability = ownMap("DSN", 12, () => ({
  ...extendedHead,
  serialNumber: hex(r64(0x04, "ro")),
}));

export const serialNumber = extendedCapability(
  extendedCapabilityId.serialNumber,
  "DSN",
  serialNumberCapability,
);
