import { walkCapabilities, walkExtendedCapabilities } from "../../../regs/index.ts";
import { extendedSize, standardSize } from "./capability-size.ts";
import {
  extendedPermissions,
  headerPermissions,
  msiPermissions,
  pmeControl,
  pmeSupport,
  standardPermissions,
  type CapabilityPermissions,
} from "./permissions.ts";

/** Of a byte that no capability covers: read and written as the device has it. */
export const uncovered = -1;
/** Added to the IDs of extended capabilities, to tell them from standard ones. */
export const extendedOwner = 0x100;

/** For each byte of config space what vfio-pci does with it. */
export interface PermissionMap {
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

/** @param config the device's own config space, right after it was opened */
export function permissionMap(config: Uint8Array): PermissionMap {
  const size = config.length;
  const map: PermissionMap = {
    virtual: new Uint8Array(size),
    write: new Uint8Array(size),
    owner: new Int32Array(size).fill(uncovered).fill(0, 0, 64),
    start: new Uint16Array(size),
    values: config.slice(),
  };
  const memory = new DataView(config.buffer, config.byteOffset, size);
  const isExtended = linkStandard(map, config, memory);
  if (isExtended) linkExtended(map, config, memory);
  for (let at = 64; at < size; at++) {
    const goesOn = at !== 64 && at !== 256 && map.owner[at] === map.owner[at - 1]!;
    map.start[at] = goesOn && map.owner[at] !== uncovered ? map.start[at - 1]! : at;
  }
  apply(map, 0, headerPermissions);
  for (let at = 64; at < size; at++) {
    const owner = map.owner[at]!;
    if (owner === uncovered) map.write[at] = 0xff;
    else if (map.start[at] === at) permit(map, memory, at, owner);
  }
  return map;
}

function claim(map: PermissionMap, offset: number, size: number, owner: number): void {
  map.owner.fill(owner, offset, offset + size);
}

/** @returns whether there is an extended list */
function linkStandard(map: PermissionMap, config: Uint8Array, memory: DataView): boolean {
  const { values } = map;
  let previous = 0x34;
  let shown = 0;
  let isExtended = false;
  for (const { id, offset, next } of walkCapabilities(config).found) {
    const size = standardSize(id, memory, offset);
    if (size === 0) {
      values[previous] = next;
      continue;
    }
    claim(map, offset, size, id);
    previous = offset + 1;
    shown++;
    if (id === 0x10 || (id === 0x07 && size > 8)) isExtended = true;
    if (id === 0x01 && offset + 6 <= values.length) {
      values[offset + 3]! &= ~(pmeSupport >>> 8);
      values[offset + 4]! &= ~(pmeControl & 0xff);
      values[offset + 5]! &= ~(pmeControl >>> 8);
    }
  }
  if (shown === 0) values[0x06]! &= ~0x10;
  return isExtended;
}

function linkExtended(map: PermissionMap, config: Uint8Array, memory: DataView): void {
  const values = new DataView(map.values.buffer);
  let previous: number | undefined;
  let shown = 0;
  for (const { id, offset, next } of walkExtendedCapabilities(config).found) {
    let size = extendedSize(id, memory, offset);
    const hidden = size === 0;
    if (hidden && previous !== undefined) {
      const head = values.getUint32(previous, true);
      values.setUint32(previous, ((head & 0x000fffff) | ((next & 0xffc) << 20)) >>> 0, true);
      continue;
    }
    if (hidden) {
      // The list starts at 0x100 whatever is there: an empty capability keeps its place.
      size = 4;
      values.setUint32(offset, (values.getUint32(offset, true) & 0xffc00000) >>> 0, true);
    } else shown++;
    claim(map, offset, size, extendedOwner + id);
    previous = offset;
  }
  if (shown === 0 && previous !== undefined) values.setUint32(0x100, 0, true);
}

function permit(map: PermissionMap, memory: DataView, at: number, owner: number): void {
  if (owner >= extendedOwner) {
    const hidden = map.values[at] === 0 && map.values[at + 1] === 0;
    const permissions = hidden ? undefined : extendedPermissions.get(owner - extendedOwner);
    apply(map, at, permissions, owner);
    map.virtual.fill(0xff, at, Math.min(at + 4, map.virtual.length));
    map.write.fill(0, at, Math.min(at + 4, map.virtual.length));
    return;
  }
  const flags = owner === 0x05 && at + 4 <= memory.byteLength ? memory.getUint16(at + 2, true) : 0;
  const permissions =
    owner === 0x05
      ? msiPermissions((flags & 0x80) !== 0, (flags & 0x100) !== 0)
      : standardPermissions.get(owner);
  apply(map, at, permissions, owner);
  map.virtual[at + 1] = 0xff;
  // A raw write goes past the values that are kept here.
  if (permissions === "raw") map.write[at + 1] = 0;
}

function apply(map: PermissionMap, base: number, permissions: CapabilityPermissions = [], owner = 0): void {
  if (permissions === "raw") {
    for (let at = base; map.owner[at] === owner && map.start[at] === base; at++) map.write[at] = 0xff;
    return;
  }
  for (const { at, width, virtual, write } of permissions)
    for (let i = 0; i < width; i++) {
      const byte = base + at + i;
      if (map.owner[byte] !== owner) continue;
      map.virtual[byte] = virtual >>> (8 * i);
      map.write[byte] = write >>> (8 * i);
    }
}
