import { joinedBig } from "../derived.ts";
import { standardCapability, standardHead } from "../capability.ts";
import { emulated, hex, ro, rw, volatile } from "../field.ts";
import { ownMap } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { capabilityId } from "./ids.ts";

// The control register says by itself which of the four layouts follows. All is the model's own:
// vfio-pci arms MSI through VFIO_DEVICE_SET_IRQS, and the device gets the host's address and data.
const vectors = ["1", "2", "4", "8", "16", "32"] as const;
const control = emulated(
  r16(
    0x02,
    {
      enable: rw(0, "Enable"),
      /** How many vectors the device asks for. */
      multipleMessageCapable: ro(3, 1, vectors, "Capable"),
      /** How many vectors it has been given. */
      multipleMessageEnable: rw(6, 4, vectors, "Count"),
      address64Bit: ro(7, "64bit"),
      perVectorMasking: ro(8, "Maskable"),
      extendedDataCapable: ro(9, "ExtData"),
      extendedDataEnable: rw(10, "ExtDataEn"),
    },
    "Control",
  ),
);
const common = { ...standardHead, control, address: emulated(hex(r32(0x04, "rw", "Address"))) } as const;
const data = (at: number) => ({
  data: emulated(hex(r16(at, "rw", "Data"))),
  extendedData: emulated(hex(r16(at + 2, "rw"))),
});
const masking = (at: number) => ({
  mask: emulated(hex(r32(at, "rw", "Masking"))),
  pending: emulated(volatile(hex(r32(at + 4, "ro", "Pending")))),
});
const upper = {
  upperAddress: emulated(hex(r32(0x08, "rw", "Upper address"))),
  messageAddress: joinedBig(["upperAddress", "address"], { hex: true, label: "Message address" }),
} as const;

/** MSI Capability with 32-bit addresses, PCI Express Base Specification 7.7.1. */
export const msi32 = ownMap("MSI", 12, () => ({ ...common, ...data(0x08) }));
/** With 64-bit addresses. */
export const msi64 = ownMap("MSI", 16, () => ({ ...common, ...upper, ...data(0x0c) }));
/** With 32-bit addresses and a mask bit for each vector. */
export const msi32Masked = ownMap("MSI", 20, () => ({ ...common, ...data(0x08), ...masking(0x0c) }));
/** With 64-bit addresses and a mask bit for each vector. */
export const msi64Masked = ownMap("MSI", 24, () => ({
  ...common,
  ...upper,
  ...data(0x0c),
  ...masking(0x10),
}));

// Without extended message data the capability ends with its data register, and another may start there.
const short = (map: typeof msi32 | typeof msi64) => {
  const { extendedData: _, ...registers } = map.entries;
  return ownMap("MSI", map.size - 2, () => registers);
};
const msi32Short = short(msi32);
const msi64Short = short(msi64);

export const msi = standardCapability(capabilityId.msi, "MSI", (config, at, limit) => {
  const bits = limit >= 4 ? config.getUint16(at + 2, true) : 0;
  const wide = bits & 0x80;
  if (bits & 0x100) return wide ? msi64Masked : msi32Masked;
  if (bits & 0x200) return wide ? msi64 : msi32;
  return wide ? msi64Short : msi32Short;
});
