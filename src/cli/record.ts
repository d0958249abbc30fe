import { jsonText } from "../image/json-text.ts";
import { openDevice } from "../device/backends/kernel/open-device.ts";
import type { DeviceBackend } from "../device/seam/backend.ts";
import { recordDevice } from "../device/backends/recorded/record.ts";
import type { Sysroot } from "../device/host/sysroot.ts";
import { readInUse } from "../device/host/in-use.ts";
import { imageHost, recordFromSysfs } from "../device/host/sysfs-recorder.ts";
import { VfioError } from "../ffi/errors.ts";
import { regionName } from "../regs/vfio/regions.ts";
import { maxContentBytes, type DeviceImage } from "../image/image.ts";
import { Redaction } from "../image/redact.ts";
import { writeImage } from "../image/write.ts";
import { allOnesText, readsAllOnes } from "../regs/answers.ts";
import { CliError, exitCode } from "./failure.ts";
import { TracedBackend } from "../device/seam/traced-backend.ts";
import { TraceKind } from "../device/seam/trace.ts";
import { findDevice, sysroot } from "./host.ts";
import { print, tell, writeFiles } from "./output.ts";
import { Progress, progress } from "./progress.ts";
import { printable } from "../regs/printable.ts";

export interface RecordOptions {
  readonly output: string;
  readonly json?: boolean | undefined;
  readonly rom?: boolean | undefined;
  readonly barContents?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly redact?: boolean | undefined;
}

/**
 * Makes an image of a device of this host: through VFIO where it is bound to it, else from sysfs.
 * @param open opens a function that is bound to a VFIO driver; one with a driver of the host is read from sysfs
 * @returns 1 if the device does not answer: then nothing is written
 */
export function recordCommand(
  text: string,
  options: RecordOptions,
  open: (bdf: string) => DeviceBackend = (bdf) => openDevice(bdf),
): number {
  const { output, json, rom, barContents, force = false, redact = false } = options;
  const files = sysroot();
  const device = findDevice(files, text);
  const { bdf } = device;
  const source = device.vfio ? "vfio" : "sysfs";
  let image: DeviceImage | undefined;
  if (device.vfio) {
    progress.wait(`opening ${bdf}`);
    using backend = open(bdf);
    progress.clear();
    const host = imageHost(files, device);
    image = answered(() => recordDevice(watched(backend), { bdf, host, rom, barContents }));
  } else {
    if (barContents)
      throw new CliError(
        `${bdf}: what its BARs hold can be read through VFIO alone; bind it first: bun-vfio bind ${bdf}`,
      );
    if (rom) checkRom(files, bdf);
    image = recordFromSysfs(files, device, { rom });
  }
  if (!image || readsAllOnes(image.config)) {
    tell(`${bdf}: ${allOnesText}; nothing was recorded`);
    return exitCode.found;
  }
  if (redact) image = new Redaction().image(image);
  const written = writeImage(image);
  if (output === "-" && json) throw new CliError("--json and the image cannot both be standard output");
  if (output === "-") print(written);
  else writeFiles([{ path: output, text: written }], { force, secret: true });
  if (json) print(`${jsonText(recordJson(output, source, image), undefined, 2)}\n`);
  else {
    if (output !== "-") print(`${printable(output)}\n`);
    if (image.config.length === 64)
      tell(
        `note: ${bdf}: only 64 bytes of config space can be read without root: capabilities and interrupts are unknown`,
      );
  }
  return exitCode.ok;
}

/** Tells how far a device is read: at most as many bytes as it has. */
function watched(backend: DeviceBackend): DeviceBackend {
  const total = backend.regions.reduce((sum, { size }) => sum + Math.min(size, maxContentBytes), 0);
  const done = new Progress(`recording ${backend.name}`, total);
  return new TracedBackend(backend, {
    record: (kind, _region, _offset, size) => kind === TraceKind.deviceRead && done.add(size),
  });
}

/** What was recorded; undefined of a device that does not answer. */
function answered(record: () => DeviceImage): DeviceImage | undefined {
  try {
    return record();
  } catch (error) {
    if (error instanceof VfioError && error.code === "ENODEV") return undefined;
    throw error;
  }
}

/**
 * While a ROM is read its device may answer at no BAR: the two may share a decoder (PCI Local Bus Specification 3.0,
 * 6.2.5.2). Through VFIO nobody else uses the device.
 */
function checkRom(files: Sysroot, bdf: string): void {
  const [use] = readInUse(files).get(bdf) ?? [];
  if (use)
    throw new CliError(
      `refused: ${bdf}: ${use.text}, and its BARs may not answer while its ROM is read; record it without --rom, or free it first`,
    );
}

const recordJson = (file: string, source: string, { bdf, config, regions, host }: DeviceImage): unknown => ({
  formatVersion: 1,
  file,
  bdf,
  source,
  configSize: config.length,
  regions: regions.map(({ index, size, contents = [] }) => ({
    index,
    name: regionName(index),
    size,
    recordedBytes: contents.reduce((total, { bytes }) => total + bytes.length, 0),
  })),
  notes: host.notes ?? [],
});
