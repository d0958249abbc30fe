import {
  capabilityId,
  endpointHeader,
  extendedStart,
  pcixEndpointCapability,
  powerManagementCapability,
  standardEnd,
  standardStart,
  unknownExtended,
  unknownStandard,
  walkCapabilities,
  walkExtendedCapabilities,
  type CapabilityId,
  type FoundCapability,
} from "../../regs/index.ts";
import { kindOf } from "../pci/config-kind.ts";
import { KnownOfKind } from "../pci/known-of-kind.ts";
import { headerStart, offsetOf, startOf, type ConfigOffset, type Located } from "../pci/config-offset.ts";
import { address64Bit, perVectorMasking } from "./registers.ts";
import { capabilitiesPointer, capabilityList, memorySpace } from "../pci/header-registers.ts";
import { extendedSize, standardSize } from "./capability-size.ts";
import {
  extendedPermissions,
  headerPermissions,
  msiPermissions,
  standardPermissions,
  wakeUpControl,
  wakeUpSupport,
  type CapabilityPermissions,
} from "./permissions.ts";

/** Of a byte that no capability covers: read and written as the device has it. */
export const uncovered = -1;
/** Of a byte of the header. */
export const headerOwner = 0;
/** Added to the IDs of extended capabilities, to tell them from standard ones. */
export const extendedOwner = 0x100;

const standardNext = unknownStandard.register("next");
const extendedHeader = unknownExtended.register("header");
const extendedId = unknownExtended.field("header.id");
const extendedNext = unknownExtended.field("header.next");

/**
 * For each byte of config space what vfio-pci does with it, as far as capabilities reach: what lies behind is read and written as
 * the device has it.
 */
export interface PermissionMap {
  // All but the values are shared with devices of the same kind: nobody may change them.
  /** Bits that vfio-pci answers itself. */
  readonly virtual: Uint8Array;
  /** Bits that a write changes. */
  readonly write: Uint8Array;
  /** ID of the capability that has the byte, from `extendedOwner` for extended ones; 0 for the header; or `uncovered`. */
  readonly owner: Int32Array;
  /** Where that capability starts. Neighbours with one ID are one to the kernel, which looks for the first byte of its kind. */
  readonly start: Uint16Array;
  /** What the virtual bits read at first. */
  readonly values: Uint8Array;
}

interface Sized extends FoundCapability {
  /** Bytes that vfio-pci counts to it; 0 where it takes it out of the list. */
  readonly size: number;
}
const sized = (found: FoundCapability, size: number): Sized => ({ ...found, size });

/** The extended list is looked for behind one of these. */
const isExpress = ({ id, size }: Sized): boolean =>
  size > 0 &&
  (id === capabilityId.express || (id === capabilityId.pcix && size > pcixEndpointCapability.size));

/** The end of the dword in which the last capability ends. Of one that is taken out the head counts, which may link on. */
function reach(config: Uint8Array, capabilities: readonly Sized[]): number {
  let end = standardEnd;
  for (const { offset, size } of capabilities)
    end = Math.max(end, offset + Math.max(size, extendedHeader.size));
  return Math.min(config.length, Math.ceil(end / 4) * 4);
}

const known = new KnownOfKind<PermissionMap>();

/** @param config the device's own config space, right after it was opened */
export function permissionMap(config: Uint8Array): PermissionMap {
  const kind = kindOf(config);
  const map = known.get(kind, [], () => makeMap(config));
  const values = map.values.slice();
  for (const { start, end } of [...kind.addresses, ...kind.own])
    if (end <= values.length) values.set(config.subarray(start, end), start);
  // vfio-pci may count more to the last capability than is described of it.
  if (values.length > kind.end) values.set(config.subarray(kind.end, values.length), kind.end);
  return { ...map, values };
}

/** The memory enable bit of a virtual function is not the device's: it reads as the user wrote it. */
export function ofVirtualFunction(map: PermissionMap): PermissionMap {
  const virtual = map.virtual.slice();
  virtual[memorySpace.byte.at]! |= memorySpace.byte.mask;
  return { ...map, virtual };
}

/** Of a device whose kind nobody knows. */
export function makeMap(config: Uint8Array): PermissionMap {
  const memory = new DataView(config.buffer, config.byteOffset, config.length);
  const standard = walkCapabilities(config).found.map((one) => sized(one, standardSize(one.id, memory, one)));
  const extended = standard.some(isExpress)
    ? walkExtendedCapabilities(config).found.map((one) => sized(one, extendedSize(one.id, memory, one)))
    : [];
  const size = reach(config, [...standard, ...extended]);
  const map: PermissionMap = {
    virtual: new Uint8Array(size),
    write: new Uint8Array(size),
    owner: new Int32Array(size).fill(uncovered).fill(headerOwner, 0, endpointHeader.size),
    start: new Uint16Array(size),
    values: config.slice(0, size),
  };
  linkStandard(map, standard);
  linkExtended(map, extended);
  for (let at = standardStart; at < size; at++) {
    const goesOn = at !== standardStart && at !== extendedStart && map.owner[at] === map.owner[at - 1]!;
    map.start[at] = goesOn && map.owner[at] !== uncovered ? map.start[at - 1]! : at;
  }
  apply(map, startOf(headerStart), headerPermissions());
  for (let at = standardStart; at < size; at++) {
    const owner = map.owner[at]!;
    if (owner === uncovered) map.write[at] = 0xff;
    else if (map.start[at] === at) permit(map, memory, at, owner);
  }
  return map;
}

function claim(map: PermissionMap, offset: number, size: number, owner: number): void {
  map.owner.fill(owner, offset, offset + size);
}

function linkStandard(map: PermissionMap, capabilities: readonly Sized[]): void {
  const values = new DataView(map.values.buffer);
  const setNext = (previous: Located | undefined, next: number): void => {
    if (previous) standardNext.write(values, next, previous.offset);
    else capabilitiesPointer.write(values, next);
  };
  let previous: Located | undefined;
  for (const capability of capabilities) {
    const { id, offset, next, size } = capability;
    if (size === 0) {
      setNext(previous, next);
      continue;
    }
    claim(map, offset, size, id);
    previous = capability;
    if (id !== capabilityId.powerManagement) continue;
    for (const field of [...wakeUpSupport(), ...wakeUpControl()])
      if (offset + powerManagementCapability.size <= values.byteLength) field.write(values, false, offset);
  }
  if (!previous) capabilityList.write(values, false);
}

function linkExtended(map: PermissionMap, capabilities: readonly Sized[]): void {
  const values = new DataView(map.values.buffer);
  let previous: number | undefined;
  let shown = 0;
  for (const { id, offset, next, size } of capabilities) {
    const hidden = size === 0;
    if (hidden && previous !== undefined) {
      extendedNext.write(values, next & ~3, previous);
      continue;
    }
    // The list starts at its place whatever is there: an empty capability keeps it.
    if (hidden)
      extendedHeader.write(values, extendedNext.with(0, extendedNext.read(values, offset) & ~3), offset);
    else shown++;
    claim(map, offset, hidden ? extendedHeader.size : size, extendedOwner + id);
    previous = offset;
  }
  if (shown === 0 && previous !== undefined) extendedHeader.write(values, 0, extendedStart);
}

function permit(map: PermissionMap, memory: DataView, at: number, owner: number): void {
  const capability = startOf({ offset: at });
  if (owner >= extendedOwner) {
    const values = new DataView(map.values.buffer);
    const hidden = extendedId.read(values, at) === 0;
    const permissions = hidden ? undefined : extendedPermissions().get(owner - extendedOwner);
    apply(map, capability, permissions, owner);
    map.virtual.fill(0xff, at, at + extendedHeader.size);
    map.write.fill(0, at, at + extendedHeader.size);
    return;
  }
  const { register } = address64Bit;
  const isWhole = owner === capabilityId.msi && at + register.at + register.size <= memory.byteLength;
  const flags = isWhole ? register.read(memory, at) : 0;
  const permissions =
    owner === capabilityId.msi
      ? msiPermissions(address64Bit.of(flags), perVectorMasking.of(flags))
      : standardPermissions().get(owner);
  apply(map, capability, permissions, owner);
  const next = offsetOf(standardNext, { offset: at });
  map.virtual[next] = 0xff;
  // A raw write goes past the values that are kept here.
  if (permissions === "raw") map.write[next] = 0;
}

function apply(
  map: PermissionMap,
  base: ConfigOffset,
  permissions: CapabilityPermissions = [],
  owner = 0,
): void {
  if (permissions === "raw") {
    for (let at = base; map.owner[at] === owner && map.start[at] === base; at++) map.write[at] = 0xff;
    return;
  }
  for (const { register, virtual, write } of permissions)
    for (let i = 0; i < register.size; i++) {
      const byte = base + register.at + i;
      if (map.owner[byte] !== owner) continue;
      map.virtual[byte] = virtual >>> (8 * i);
      map.write[byte] = write >>> (8 * i);
    }
}

/** The first capability of an ID, if `size` bytes of it are there. */
export function capabilityOf(
  { owner, start }: PermissionMap,
  id: CapabilityId,
  size: number,
): Located | undefined {
  const at = owner.indexOf(id, standardStart);
  return at >= 0 && start[at] === at && at + size <= owner.length ? { offset: at } : undefined;
}
