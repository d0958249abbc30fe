// What Linux's vfio-pci lets its user see and write of config space, as data: for each capability the bits that it keeps
// itself (`virtual`) and the bits that a write changes (`write`). Facts of drivers/vfio/pci/vfio_pci_config.c, Linux 6.12.
// What a table does not name is read from the device and not writable.

import {
  aerCapability,
  capabilityId,
  endpointHeader,
  expressCapability,
  extendedCapabilityId,
  msi32,
  msi32Masked,
  msi64,
  msi64Masked,
  pcixEccCapability,
  powerBudgetingCapability,
  powerManagementCapability,
  vpdCapability,
} from "../../regs/index.ts";
import type { FieldReference, RegisterReference } from "../../regs/reference.ts";
import type { Register } from "../../regs/register.ts";
import {
  functionReset,
  initiateReset,
  maxPayload,
  maxReadRequest,
  msiControl,
  powerState,
} from "./registers.ts";
import {
  barRegisters,
  capabilityList,
  command,
  interruptDisable,
  romRegister,
} from "../pci/header-registers.ts";

type NumberRegister = RegisterReference<Register<8 | 16 | 32>>;

/** One register of a table, and the two masks. */
export interface Permission {
  readonly register: NumberRegister;
  readonly virtual: number;
  readonly write: number;
}

/** How writes of a capability are let through: by a table, or all of them as they are. */
export type CapabilityPermissions = readonly Permission[] | "raw";

/** Made when first asked for: importing the library does not pay for it. */
function onDemand<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

const none = 0;
const all = (register: NumberRegister): number => 2 ** register.width - 1;
const allBut = (...fields: readonly FieldReference[]): number =>
  fields.reduce((bits, { mask }) => bits - mask, all(fields[0]!.register as NumberRegister));
const bitsOf = (...fields: readonly FieldReference[]): number =>
  fields.reduce((bits, { mask }) => bits + mask, 0);

const row = (register: NumberRegister, virtual: number, write: number): Permission => ({
  register,
  virtual,
  write,
});
/** Kept by vfio-pci, and all the user's. */
const own = (register: NumberRegister): Permission => row(register, all(register), all(register));
/** Kept by vfio-pci, and read-only. */
const shown = (register: NumberRegister): Permission => row(register, all(register), none);
/** The device's, and written through. */
const through = (register: NumberRegister): Permission => row(register, none, all(register));

const header = endpointHeader;
/** The first 64 bytes. */
export const headerPermissions = onDemand((): readonly Permission[] => [
  shown(header.register("vendorId")),
  shown(header.register("deviceId")),
  // Memory, I/O and bus master reach the device; the interrupt disable bit is vfio-pci's.
  row(command, interruptDisable.mask, all(command)),
  row(capabilityList.register, capabilityList.mask, none),
  through(header.register("cacheLineSize")),
  through(header.register("latencyTimer")),
  through(header.register("bist")),
  ...[...barRegisters, romRegister].map(own),
  shown(header.register("capabilitiesPointer")),
  own(header.register("interruptLine")),
  shown(header.register("interruptPin")),
]);

const pm = powerManagementCapability;
/** Bits of PM that vfio-pci keeps, and starts at zero: wake-up is the host's. */
export const wakeUpSupport = onDemand(() =>
  (["pmeD0", "pmeD1", "pmeD2", "pmeD3hot", "pmeD3cold"] as const).map((name) =>
    pm.field(`capabilities.${name}`),
  ),
);
export const wakeUpControl = onDemand(
  () => [pm.field("control.pmeEnable"), pm.field("control.pmeStatus")] as const,
);

/** MSI by its layout: flags, address and data are virtual; mask and pending bits are the device's. */
export function msiPermissions(wide: boolean, maskable: boolean): readonly Permission[] {
  const map = wide ? msi64 : msi32;
  const masked = wide ? msi64Masked : msi32Masked;
  return [
    // The kernel has the first byte of the flags alone.
    row(msiControl, 0xff, 0xff),
    own(map.register("address")),
    own(map.register("data")),
    ...(wide ? [own(msi64.register("upperAddress"))] : []),
    ...(maskable ? [through(masked.register("mask")), through(masked.register("pending"))] : []),
  ];
}

const express = expressCapability;
/** Of standard capabilities, but for MSI. One that is not here is read-only. */
export const standardPermissions = onDemand(
  (): ReadonlyMap<number, CapabilityPermissions> =>
    new Map<number, CapabilityPermissions>([
      // PM: the state is changed by the host at the user's request.
      [
        capabilityId.powerManagement,
        [
          row(pm.register("capabilities"), bitsOf(...wakeUpSupport()), none),
          row(pm.register("control"), bitsOf(...wakeUpControl()), allBut(powerState, ...wakeUpControl())),
          through(pm.register("bridge")),
          through(pm.register("data")),
        ],
      ],
      // VPD: the host does the transfers.
      [capabilityId.vpd, [own(vpdCapability.register("address")), own(vpdCapability.register("data"))]],
      [
        capabilityId.pcix,
        [through(pcixEccCapability.register("command")), through(pcixEccCapability.register("eccControl"))],
      ],
      [capabilityId.vendor, "raw"],
      // PCI Express: payload and read request sizes, and the reset bit, are virtual; phantom functions and ARI are the host's.
      [
        capabilityId.express,
        [
          row(
            express.register("deviceControl"),
            bitsOf(functionReset, maxReadRequest, maxPayload),
            allBut(express.field("deviceControl.phantomFunctions")),
          ),
          row(
            express.register("deviceControl2"),
            none,
            allBut(express.field("deviceControl2.ariForwarding")),
          ),
        ],
      ],
      // AF: the reset bit.
      [capabilityId.advancedFeatures, [row(initiateReset.register, initiateReset.mask, initiateReset.mask)]],
    ]),
);

const aer = aerCapability;
/** The errors that the kernel knows: an old one that no map has, and none of those above bit 25, younger than its table. */
const uncorrectable = 0x03fff031;
const correctable = (): number => aer.register("correctableStatus").clearMask;

/** Of extended capabilities. One that is not here is read-only. */
export const extendedPermissions = onDemand(
  (): ReadonlyMap<number, CapabilityPermissions> =>
    new Map<number, CapabilityPermissions>([
      [
        extendedCapabilityId.aer,
        [
          row(aer.register("uncorrectableStatus"), none, uncorrectable),
          row(aer.register("uncorrectableMask"), none, uncorrectable),
          row(aer.register("uncorrectableSeverity"), none, uncorrectable),
          row(aer.register("correctableStatus"), none, correctable()),
          row(aer.register("correctableMask"), none, correctable()),
          row(
            aer.register("capabilities"),
            none,
            bitsOf(aer.field("capabilities.ecrcGenerationEnable"), aer.field("capabilities.ecrcCheckEnable")),
          ),
        ],
      ],
      // Meant for the data select register, but the table of the kernel has the first byte of the data register.
      [extendedCapabilityId.powerBudgeting, [row(powerBudgetingCapability.register("data"), none, 0xff)]],
      [extendedCapabilityId.vendor, "raw"],
      [extendedCapabilityId.dvsec, "raw"],
    ]),
);
