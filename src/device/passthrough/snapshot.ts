// The state of an attached device as plain data. Restoring goes through attach and the guest's own writes: there is no
// second way to build a device, so nothing that attach does can be missing after a restore.
import * as z from "zod";
import type { Parts } from "./attach.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { offsetOf, startOf } from "../pci/config-offset.ts";
import { command as commandRegister, identity, memorySpace } from "../pci/header-registers.ts";
import { powerState, WriteEffect } from "./write-effects.ts";
import { allOnes } from "../seam/guest-answers.ts";
import type { InterruptControl } from "./interrupts/interrupt-control.ts";
import { VfioError } from "../../ffi/errors.ts";
import { entrySize } from "../pci/msix-geometry.ts";
import type { AttachOptions } from "./options.ts";

const integer = (limit: number) => z.int().min(0).max(limit);
const vectors = z.array(integer(2047)).max(2048);
const ids = z.array(integer(0xffff)).max(0x10000);
const longestName = 256;

const schema = z.strictObject({
  /** Of this format. */
  version: z.literal(1),
  /** The kind of device that the state fits: the first 64 bytes that never change, and the size of config space. */
  device: z.strictObject({
    name: z.string().max(longestName),
    vendorId: integer(0xffff),
    deviceId: integer(0xffff),
    subsystemVendorId: integer(0xffff),
    subsystemId: integer(0xffff),
    configSize: z.union([z.literal(256), z.literal(4096)]),
  }),
  /** What the guest was shown: the same patches come back. */
  options: z.strictObject({
    hide: ids,
    expose: ids,
    multiFunction: z.boolean(),
    gpuDirectClique: integer(15).optional(),
    /** Requester ID; the VMM may give another to the restored device. */
    deviceId: integer(0xffff).optional(),
    msixRelocation: z.enum(["always", "never"]),
  }),
  /** COMMAND as the guest last wrote it. */
  command: integer(0xffff),
  /** D0 to D3hot. */
  power: integer(3),
  /** Dwords of config space that the guest can write, COMMAND apart. */
  registers: z.array(z.strictObject({ offset: integer(0xffc), value: integer(0xffffffff) })).max(1024),
  /** BARs, by region index, that have the guest addresses in their registers: of two that want the same, one has it. */
  held: z.array(integer(6)).max(7),
  msix: z.strictObject({ table: z.string().regex(/^([0-9a-f]{32}){1,2048}$/), pending: vectors }).nullable(),
  msi: z.strictObject({ pending: vectors }).nullable(),
});

/** State of a device; see `VfioPciDevice.snapshot`. Made for JSON. @useDeclaredType */
export type DeviceSnapshot = z.infer<typeof schema>;

/** Bits of config space that make up state: emulated and writable, or kept by the device for the guest. */
function stateMask({ image, config }: Parts): Uint8Array {
  const { emulated, write, size } = config.tables;
  const mask = new Uint8Array(size);
  const add = (
    base: number,
    masks: { write: Uint8Array; volatile: Uint8Array; precious: Uint8Array },
  ): void => {
    for (let i = 0; i < masks.write.length; i++)
      mask[base + i]! |= masks.write[i]! & ~masks.volatile[i]! & ~masks.precious[i]! & ~emulated[base + i]!;
  };
  if (image.layout.header) add(0, image.layout.header.masks);
  for (const { offset, map } of image.layout.capabilities) add(offset, map.masks);
  for (let at = 0; at < size; at++) mask[at]! |= emulated[at]! & write[at]!;
  return mask;
}

/**
 * Reads the state of a device.
 * @throws VfioError where the device does not answer: what it would have said is part of the state; what the platform throws
 * where it cannot tell which vectors are pending
 */
export function takeSnapshot(
  backend: DeviceBackend,
  parts: Parts,
  options: AttachOptions,
  command: number,
  power: number,
): DeviceSnapshot {
  const { config, interrupts, image, effects } = parts;
  const mask = stateMask(parts);
  const registers: { offset: number; value: number }[] = [];
  config.strictly(() => {
    // Reserved bits of COMMAND and STATUS read 0: a device that is gone may answer all the same, with all ones.
    if (config.read(offsetOf(commandRegister), 4) === allOnes(4)) throw gone(backend.name);
    for (let offset = 0; offset < mask.length; offset += 4) {
      const at = startOf({ offset });
      const bits = new DataView(mask.buffer).getUint32(offset, true);
      if (bits === 0 || effects.at(at) === WriteEffect.command) continue;
      registers.push({ offset, value: (config.read(at, 4) & bits) >>> 0 });
    }
  });
  const decodes = (command & memorySpace.mask) !== 0 && power === 0;
  const pending = interrupts.pendingVectors(pendingBits(backend, interrupts, decodes));
  return {
    version: 1,
    device: {
      name: backend.name.slice(0, longestName),
      vendorId: identity.vendorId.read(image.view),
      deviceId: identity.deviceId.read(image.view),
      subsystemVendorId: identity.subsystemVendorId.read(image.view),
      subsystemId: identity.subsystemId.read(image.view),
      configSize: mask.length === 256 ? 256 : 4096,
    },
    options: {
      hide: [...new Set(options.hide)],
      expose: [...new Set(options.expose)],
      multiFunction: options.multiFunction ?? false,
      ...(options.gpuDirectClique !== undefined && { gpuDirectClique: options.gpuDirectClique }),
      ...(options.deviceId !== undefined && { deviceId: options.deviceId }),
      // What came of it here: another host might choose otherwise, and the guest has seen the BAR's size.
      msixRelocation: parts.plan.msix?.relocated ? "always" : "never",
    },
    command,
    power,
    registers,
    held: [...parts.placement.held],
    msix: interrupts.msix ? { table: interrupts.msix.state.table.toHex(), pending: pending.msix } : null,
    msi: interrupts.msi ? { pending: pending.msi } : null,
  };
}

/**
 * The guest's PBA, whole.
 * @param decodes whether the device answers; its own pending bits are out of reach otherwise
 * @throws what the backend and the platform throw
 */
function pendingBits(backend: DeviceBackend, interrupts: InterruptControl, decodes: boolean): Uint8Array {
  if (!interrupts.msix) return new Uint8Array(0);
  const { region, offset, size } = interrupts.msix.physical.pba;
  const data = new Uint8Array(new ArrayBuffer(size));
  if (decodes && backend.regions[region]!.readable) backend.read(region, offset, data);
  interrupts.addPending(data, 0, size, 0, true);
  return data;
}

const gone = (device: string): VfioError =>
  new VfioError(`${device}: config space reads all ones: there is no state to take`, {
    code: "ENODEV",
    device,
  });

/** Checks a snapshot that comes from outside. @throws VfioError (`EBADSNAPSHOT`) that says what is wrong, and where */
export function parseSnapshot(snapshot: unknown, name: string): DeviceSnapshot {
  const version = (snapshot as { version?: unknown } | null | undefined)?.version;
  if (typeof version === "number" && version > 1)
    throw bad(
      name,
      `it is of version ${version}; this library reads version 1`,
      "Restore it with a newer bun-vfio.",
    );
  const result = schema.safeParse(snapshot);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw bad(name, `${issue.path.join(".") || "the snapshot"}: ${issue.message}`);
}

const bad = (name: string, message: string, hint?: string, cause?: unknown): VfioError =>
  new VfioError(`${name}: the snapshot cannot be restored: ${message}`, {
    code: "EBADSNAPSHOT",
    device: name,
    hint,
    cause,
  });

/** The options that a restored device needs to look as it did, under those that its VMM gives now. */
export function snapshotOptions({ options }: DeviceSnapshot, given: AttachOptions): AttachOptions {
  return { ...given, gpuDirectClique: undefined, ...options, deviceId: given.deviceId ?? options.deviceId };
}

/**
 * Attaches with the options of a snapshot.
 * @throws VfioError (`EBADSNAPSHOT`) where they do not fit the device: the options that may not are all the snapshot's
 */
export function attachForRestore<T>(name: string, attach: () => T): T {
  try {
    return attach();
  } catch (cause) {
    if (cause instanceof RangeError) throw bad(name, cause.message, undefined, cause);
    throw cause;
  }
}

/** What the device under restore offers. */
interface Target {
  configRead(offset: number, width: number): number;
  configWrite(offset: number, width: number, value: number): void;
}

/**
 * Gives a device just attached the state of a snapshot, as the guest would: registers, then vectors, then the enable bits,
 * then COMMAND, so that BARs are placed once and where they belong.
 * To be called strictly, or what the device refuses is missing in silence.
 * @throws VfioError (`EBADSNAPSHOT`) if the device is another one
 */
export function applySnapshot(
  target: Target,
  backend: DeviceBackend,
  parts: Parts,
  snapshot: DeviceSnapshot,
): void {
  const { interrupts, effects } = parts;
  const fresh = takeSnapshot(backend, parts, {}, 0, 0);
  for (const key of ["vendorId", "deviceId", "subsystemVendorId", "subsystemId", "configSize"] as const)
    if (fresh.device[key] !== snapshot.device[key])
      throw bad(
        backend.name,
        `it is of another device: ${key} 0x${snapshot.device[key].toString(16)}, here 0x${fresh.device[key].toString(16)}`,
      );
  if ((fresh.msix?.table.length ?? 0) !== (snapshot.msix?.table.length ?? 0))
    throw bad(backend.name, "its MSI-X table has another size");
  const known = new DataView(stateMask(parts).buffer);
  const effectOf = ({ offset }: { offset: number }): number => effects.at(startOf({ offset }));
  const write = ({ offset, value }: { offset: number; value: number }): void => {
    if (offset % 4 !== 0 || offset >= known.byteLength)
      throw bad(backend.name, `there is no register at ${offset}`);
    const bits = known.getUint32(offset, true);
    if (bits === 0 || effectOf({ offset }) === WriteEffect.command) return;
    // A device that sleeps does not take the rest, so the power state comes last of all; reset bits never come back.
    const merged = mergeState(parts, target, offset, bits, value);
    target.configWrite(offset, 4, (merged & ~effects.triggers(startOf({ offset }))) >>> 0);
  };
  const isInterrupt = (register: { offset: number }): boolean =>
    effectOf(register) === WriteEffect.msi || effectOf(register) === WriteEffect.msix;
  parts.placement.restore(snapshot.held, () => {
    for (const register of snapshot.registers) if (!isInterrupt(register)) write(register);
  });
  if (snapshot.msix && interrupts.msix) {
    const table = Uint8Array.fromHex(snapshot.msix.table);
    for (let at = 0; at < table.length; at += entrySize) interrupts.tableWrite(at, table, at, entrySize);
    for (const vector of snapshot.msix.pending)
      if (vector < interrupts.msix.state.vectors) interrupts.msix.wiring.restorePending(vector);
  }
  // The control register lies before addresses and masks: from the last dword to the first it comes last.
  for (const register of snapshot.registers.filter(isInterrupt).reverse()) write(register);
  if (snapshot.msi && interrupts.msi)
    for (const vector of snapshot.msi.pending)
      if (vector < interrupts.msi.state.layout.vectors) interrupts.msi.wiring.restorePending(vector);
  target.configWrite(offsetOf(commandRegister), commandRegister.size, snapshot.command);
  if (effects.powerManagement && snapshot.power !== 0) {
    const { register } = powerState;
    const at = offsetOf(register, effects.powerManagement);
    const control = target.configRead(at, register.size);
    // PME_Status is cleared by a 1.
    const kept = control & ~(register.clearMask | powerState.mask);
    target.configWrite(at, register.size, kept | (snapshot.power << powerState.lo));
  }
}

/** The saved bits over what the device has; RW1C bits are written 0. */
function mergeState({ config }: Parts, target: Target, offset: number, bits: number, value: number): number {
  const clear = new DataView(config.tables.clear.buffer).getUint32(offset, true);
  return ((target.configRead(offset, 4) & ~bits & ~clear) | (value & bits)) >>> 0;
}
