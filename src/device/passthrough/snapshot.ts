// The state of an attached device as plain data: the object of its parts' states. Restoring goes through attach and the parts'
// own ways in: there is no second way to build a device, so nothing that attach does can be missing after a restore.
import { VfioError } from "../../ffi/errors.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import { barName } from "../pci/bars.ts";
import { offsetOf } from "../pci/config-offset.ts";
import { command as commandRegister, identity, memorySpace } from "../pci/header-registers.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { allOnes } from "../seam/guest-answers.ts";
import type { AttachedDevice } from "./attach.ts";
import { RegisterState } from "./config/register-state.ts";
import type { DecodeControl } from "./decoding.ts";
import type { InterruptControl } from "./interrupts/interrupt-control.ts";
import { InterruptState } from "./interrupts/interrupt-state.ts";
import type { AttachOptions } from "./options.ts";
import { longestName, snapshotVersion } from "./snapshot-format.ts";
import type { DeviceIdentity, DeviceSnapshot } from "./snapshot-schema.ts";
import { WriteEffect } from "./write-effects.ts";
import { hex } from "../../regs/hex-text.ts";
import { lazy } from "../../regs/lazy.ts";

export type { DeviceSnapshot } from "./snapshot-schema.ts";

/** An attached device, as its snapshots see it. */
export interface Attached {
  readonly backend: DeviceBackend;
  readonly parts: AttachedDevice;
  readonly decoding: DecodeControl;
}

const effectsOfOthers: readonly number[] = [WriteEffect.command, WriteEffect.msi, WriteEffect.msix];

const registersOf = ({ parts: { config, kind, effects } }: Attached): RegisterState =>
  new RegisterState(config, kind, {
    isOthers: (offset) => effectsOfOthers.includes(effects.at(offset)),
    triggers: (offset) => effects.triggers(offset),
  });

function interruptsOf({ backend, parts: { interrupts, config }, decoding }: Attached): InterruptState {
  return new InterruptState(interrupts, config, (data) => {
    // The device's own pending bits are out of reach while it does not decode.
    const decodes = (decoding.command & memorySpace.mask) !== 0 && decoding.power === 0;
    const { physical, hasPending } = interrupts.msix!;
    const { region, offset } = physical.pba;
    if (hasPending && decodes && backend.regions[region]!.readable) backend.read(region, offset, data);
  });
}

/** Which device it is, from config space as it was read at attach. */
const identityOf = ({ backend, parts: { kind, config, placement } }: Attached): DeviceIdentity => ({
  name: backend.name.slice(0, longestName),
  vendorId: identity.vendorId.read(kind.view),
  deviceId: identity.deviceId.read(kind.view),
  subsystemVendorId: identity.subsystemVendorId.read(kind.view),
  subsystemId: identity.subsystemId.read(kind.view),
  configSize: config.tables.size === 256 ? 256 : 4096,
  bars: placement.bars.map(({ bar: { region, kind, size } }) => ({ region, kind, size })),
});

/**
 * Reads the state of a device.
 * @throws VfioError where the device does not answer: what it would have said is part of the state; what the platform throws
 * where it cannot tell which vectors are pending
 */
export function takeSnapshot(attached: Attached, options: AttachOptions): DeviceSnapshot {
  const { backend, parts, decoding } = attached;
  const { config } = parts;
  const { msi, msix } = parts.interrupts;
  return config.throwing(() => {
    // Reserved bits of COMMAND and STATUS read 0: a device that is gone may answer all the same, with all ones.
    if (config.read(offsetOf(commandRegister), 4) === allOnes(4)) throw gone(backend.name);
    const own = backend.ownState?.save() as DeviceSnapshot["own"];
    return {
      version: snapshotVersion,
      device: identityOf(attached),
      options: {
        hide: [...new Set(options.hide)],
        expose: [...new Set(options.expose)],
        multiFunction: options.multiFunction ?? false,
        ...(options.gpuDirectClique !== undefined && { gpuDirectClique: options.gpuDirectClique }),
        ...(msi && { msiVectors: msi.state.layout.vectors }),
        ...(msix && { msixVectors: msix.state.vectors }),
        configMirrors: parts.plan.mirrors.map(({ region: bar, offset, size }) => ({ bar, offset, size })),
        ...(options.rom !== undefined && { rom: options.rom }),
        ...(options.requesterId !== undefined && { requesterId: options.requesterId }),
        // What came of it here: another host might choose otherwise, and the guest has seen the BAR's size.
        msixRelocation: parts.plan.msix?.relocated ? "always" : "never",
      },
      config: registersOf(attached).save(),
      interrupts: interruptsOf(attached).save(),
      bars: parts.placement.save(),
      decoding: decoding.save(),
      ...(own !== undefined && { own }),
    };
  });
}

const gone = (device: string): VfioError =>
  new VfioError(`${device}: config space reads all ones: there is no state to take`, {
    code: "ENODEV",
    device,
  });

/** A VMM that restores nothing does not pay for it. */
const snapshotSchema = lazy(() =>
  (require("./snapshot-schema.ts") as typeof import("./snapshot-schema.ts")).snapshotSchema(),
);

/** Checks a snapshot that comes from outside. @throws VfioError (`EBADSNAPSHOT`) that says what is wrong, and where */
export function parseSnapshot(snapshot: unknown, name: string): DeviceSnapshot {
  const version = (snapshot as { version?: unknown } | null | undefined)?.version;
  if (typeof version === "number" && Number.isInteger(version) && version !== snapshotVersion)
    throw bad(
      name,
      `it is of version ${version}; this library reads version ${snapshotVersion}`,
      version > snapshotVersion
        ? "Restore it with a newer bun-vfio."
        : "Restore it with the bun-vfio that took it, and shut its guest down or move it there.",
    );
  const result = snapshotSchema().safeParse(snapshot);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw bad(
    name,
    `${issue.path.join(".") || "the snapshot"}: ${issue.message}`,
    "Give it as snapshot() gave it, all of it: as JSON it can be stored and sent.",
  );
}

const bad = (name: string, message: string, hint: string, cause?: unknown): VfioError =>
  new VfioError(`${name}: the snapshot cannot be restored: ${message}`, {
    code: "EBADSNAPSHOT",
    device: name,
    hint,
    cause,
  });

/** The options that a restored device needs to look as it did, under those that its VMM gives now. */
export function snapshotOptions({ options }: DeviceSnapshot, given: AttachOptions): AttachOptions {
  const requesterId = given.requesterId ?? options.requesterId;
  return { ...given, gpuDirectClique: undefined, ...options, requesterId };
}

/**
 * Runs a step of a restore in which everything that may not fit is the snapshot's.
 * @throws VfioError (`EBADSNAPSHOT`) where something does not fit the device
 */
export function restoring<T>(name: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    if (cause instanceof RangeError)
      throw bad(
        name,
        cause.message,
        "Restore it as it was taken, on a device of the same model with the same options.",
        cause,
      );
    throw cause;
  }
}

/**
 * Gives a device just attached the state of a snapshot: its own, then registers, then vectors, then COMMAND and power, so that
 * BARs are placed once and where they belong. What the device refuses throws.
 * @throws VfioError, `EBADSNAPSHOT` if the device is another one
 */
export function applySnapshot(attached: Attached, snapshot: DeviceSnapshot): void {
  const { backend, parts, decoding } = attached;
  const { name } = backend;
  checkIdentity(snapshot.device, identityOf(attached), name);
  if (snapshot.own !== undefined && !backend.ownState)
    throw bad(
      name,
      "it has a state of the device's own, which this device cannot take",
      "Restore it on a device that migrates, with the driver that the saved one had.",
    );
  checkOffered(snapshot.options, parts.interrupts, name);
  const restore = (): void => {
    if (snapshot.own !== undefined) backend.ownState!.restore(snapshot.own);
    parts.placement.paused(() => {
      registersOf(attached).restore(snapshot.config);
      interruptsOf(attached).restore(snapshot.interrupts);
      decoding.restore(snapshot.decoding);
    });
    parts.placement.restore(snapshot.bars);
    decoding.sync();
  };
  restoring(name, () => parts.config.throwing(restore));
}

function checkIdentity(saved: DeviceIdentity, here: DeviceIdentity, name: string): void {
  for (const key of ["vendorId", "deviceId", "subsystemVendorId", "subsystemId", "configSize"] as const)
    if (here[key] !== saved[key])
      throw bad(
        name,
        `it is of another device: ${key} ${hex(saved[key])}, here ${hex(here[key])}`,
        "Restore it on a device of the same model: bun-vfio ls VENDOR:DEVICE lists those of this host.",
      );
  // Two of a model may differ in them, as virtual functions and devices with resizable BARs do.
  for (let region = 0; region <= RegionIndex.rom; region++) {
    const [was, is] = [saved, here].map(({ bars }) => barText(bars.find((bar) => bar.region === region)));
    if (was !== is)
      throw bad(
        name,
        `${barName(region)} of its guest is ${was}, and here ${is}`,
        "Give the device the BAR sizes of the saved one before it is attached, or restore it on another.",
      );
  }
}

const barText = (bar: DeviceIdentity["bars"][number] | undefined): string =>
  bar ? `${bar.kind} of ${hex(bar.size)} bytes` : "absent";

/** A guest uses what it was offered: a host that gives fewer would lose interrupts without a word. */
function checkOffered(
  { msiVectors = 0, msixVectors = 0 }: DeviceSnapshot["options"],
  { msi, msix }: InterruptControl,
  name: string,
): void {
  for (const [kind, saved, here] of [
    ["MSI", msiVectors, msi?.state.layout.vectors ?? 0],
    ["MSI-X", msixVectors, msix?.state.vectors ?? 0],
  ] as const)
    if (here !== saved)
      throw bad(
        name,
        `its guest was offered ${saved} ${kind} vectors, and this device and host have ${here}`,
        `Restore it on a host that gives as many, or limit ${kind === "MSI" ? "msiVectors" : "msixVectors"} before the guest starts.`,
      );
}
