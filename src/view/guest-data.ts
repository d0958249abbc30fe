// What the passthrough model makes of a recorded device: it is attached to a virtual machine in memory, with decoding on.
import { RecordedDevice } from "../device/backends/recorded/recorded-device.ts";
import { attachDevice, type AttachedDevice } from "../device/passthrough/attach.ts";
import { Source } from "../device/passthrough/config/config-tables.ts";
import { DecodeControl } from "../device/passthrough/decoding.ts";
import { describe } from "../device/passthrough/describe.ts";
import { checkOptions, type AttachOptions } from "../device/passthrough/options.ts";
import { WriteEffect } from "../device/passthrough/write-effects.ts";
import { barAddress, barsOf } from "../device/pci/bars.ts";
import { offsetOf, type ConfigOffset } from "../device/pci/config-offset.ts";
import { busMaster, command, ioSpace, memorySpace } from "../device/pci/header-registers.ts";
import { MemoryPlatform, type MemoryPlatformOptions } from "../device/platforms/memory/memory-platform.ts";
import type { DeviceBackend } from "../device/seam/backend.ts";
import { eventReporter } from "../device/seam/events.ts";
import { GuestAnswers } from "../device/seam/guest-answers.ts";
import type { DeviceImage } from "../image/image.ts";
import type { BarData, GuestData } from "./page-data.ts";

/** How a device was attached, where that is known. */
export interface GuestOptions {
  readonly platform?: MemoryPlatformOptions | undefined;
  readonly attach?: AttachOptions | undefined;
}

/** @throws VfioError where the device cannot be attached; TypeError, RangeError for options that do not fit it */
export function guestData(image: DeviceImage, { platform, attach = {} }: GuestOptions = {}): GuestData {
  checkOptions(attach);
  using machine = new MemoryPlatform(platform);
  using backend = new RecordedDevice(image);
  const events: { kind: string; message: string }[] = [];
  const report = eventReporter(image.bdf, ({ kind, message }) => void events.push({ kind, message }));
  const answers = new GuestAnswers(report, undefined);
  const parts = attachDevice({ backend, platform: machine, options: attach, report, answers });
  using _interrupts = parts.interrupts;
  using _placement = parts.placement;
  return { ...tablesOf(parts, image), ...stateOf(backend, parts, image), events };
}

function tablesOf(
  { plan, effects }: AttachedDevice,
  { config }: DeviceImage,
): Pick<GuestData, "shadow" | "emulated" | "write" | "clear" | "source" | "effects" | "patches"> {
  const { shadow, emulated, write, clear, source, limit } = plan.tables;
  // What is behind the tables is the device's own.
  const hex = (table: Uint8Array, behind = 0): string => {
    const bytes = new Uint8Array(config.length).fill(behind, limit);
    bytes.set(table);
    return bytes.toHex();
  };
  return {
    shadow: hex(shadow).slice(0, 2 * limit) + config.subarray(limit).toHex(),
    emulated: hex(emulated),
    write: hex(write, 0xff),
    clear: hex(clear),
    source: hex(source, Source.device),
    effects: hex(shadow.map((_, at) => (effects.at(at as ConfigOffset) === WriteEffect.none ? 0 : 1))),
    patches: plan.patches,
  };
}

function stateOf(
  backend: DeviceBackend,
  parts: AttachedDevice,
  image: DeviceImage,
): Pick<GuestData, "bars" | "msix" | "configMirrors" | "intx" | "msiVectors"> {
  const decoding = new DecodeControl(parts);
  const on = memorySpace.mask | ioSpace.mask | busMaster.mask;
  decoding.writeCommand(offsetOf(command), command.size, on);
  const { bars, msix, configMirrors, interrupts } = describe(backend, parts, decoding.command);
  const view = new DataView(image.config.buffer, image.config.byteOffset, image.config.byteLength);
  const host = barsOf(image.config, backend.regions);
  const found = bars.map((bar): BarData => {
    const { region, name, kind, prefetchable, physicalSize, size, base, mapped } = bar;
    const own = host.bars.find((one) => one.region === region);
    return {
      ...{ region, name, kind, prefetchable, physicalSize, size },
      hostAddress: own && barAddress(own, view),
      guestAddress: base,
      mapped: mapped.map(({ offset, size, gpa }) => ({ offset, size, gpa })),
    };
  });
  return { bars: found, msix, configMirrors, intx: interrupts.intx, msiVectors: interrupts.msiVectors };
}
