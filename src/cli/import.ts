import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ImageError } from "../image/error.ts";
import { regionName } from "../regs/vfio/regions.ts";
import type { DeviceImage } from "../image/image.ts";
import { imageFromRaw } from "../image/raw.ts";
import { writeImage } from "../image/write.ts";
import { allOnesText, readsAllOnes } from "../regs/answers.ts";
import { CliError, exitCode, firstProblem, oneLine } from "./failure.ts";
import { readInput, readText, type InputDevice } from "./input.ts";
import { kindOf, print, writeFiles } from "./output.ts";

export interface ImportOptions {
  readonly output: string;
  readonly resource?: string | undefined;
  readonly device?: string | undefined;
  readonly force?: boolean | undefined;
}

/** Makes an image of each device of a file. @returns 1 if one of them does not answer */
export function importCommand(file: string, options: ImportOptions): number {
  const { output, force = false } = options;
  const input = readInput(file, options.device);
  const single = input.devices.length === 1 ? input.devices[0] : undefined;
  const resource = options.resource;
  const images = input.devices.map(({ bdf, image }) => {
    if (bdf === undefined)
      throw new CliError(`${file}: which device is it? add its BDF, as --device 0000:01:00.0`);
    return { bdf, image: resource === undefined ? image : withResource(file, resource, single, image.host) };
  });
  const kind = kindOf(output);
  const directory = kind === "directory" || output.endsWith("/") || !single;
  if (directory && kind !== undefined && kind !== "directory")
    throw new CliError(
      `${output}: it is no directory, and ${file} has ${images.length} devices; give a directory, or one device with --device`,
    );
  const files = images.map(({ bdf, image }) => ({
    path: directory ? join(output, `${bdf}.json`) : output,
    text: writeImage(image),
  }));
  if (directory && kind === undefined)
    try {
      mkdirSync(output, { recursive: true });
    } catch (error) {
      throw new CliError(`${output}: cannot create it: ${(error as Error).message}`);
    }
  writeFiles(files, force);
  print(files.map(({ path }) => `${path}\n`).join(""));
  const note = unknownSizes(images.map(({ image }) => image));
  if (note !== undefined) process.stderr.write(`bun-vfio: ${oneLine(note)}\n`);
  const gone = images.filter(({ image }) => readsAllOnes(image.config)).map(({ bdf }) => bdf);
  if (gone.length === 0) return exitCode.ok;
  const names = `${gone.slice(0, 8).join(", ")}${gone.length > 8 ? ` and ${gone.length - 8} more` : ""}`;
  process.stderr.write(`bun-vfio: warning: ${names}: ${allOnesText}; the image is of no use\n`);
  return exitCode.found;
}

/** Config space alone does not tell how large a BAR is, and replay has to know; undefined where all are known. */
function unknownSizes(images: readonly DeviceImage[]): string | undefined {
  const unknown = images
    .map(({ bdf, regions }) => ({ bdf, regions: regions.filter(({ size }) => size === 0) }))
    .filter(({ regions }) => regions.length > 0);
  const [first] = unknown;
  if (!first) return undefined;
  if (images.length > 1)
    return `note: the sizes of BARs of ${unknown.length} of ${images.length} devices are not known, which replay needs; import one with --device and --resource`;
  const names = first.regions.map(({ index }) => regionName(index)).join(", ");
  return `note: ${first.bdf}: sizes that are not known, which replay needs: ${names}; import it again with --resource`;
}

function withResource(
  file: string,
  path: string,
  device: InputDevice | undefined,
  host: InputDevice["image"]["host"],
): InputDevice["image"] {
  if (!device)
    throw new CliError(`${file}: it has several devices, and --resource is of one; choose it with --device`);
  const resource = readText(path, "the `resource` file of a device in sysfs");
  const { bdf, config } = device.image;
  try {
    const notes = host.notes?.filter((note) => !note.startsWith("sizes of "));
    return imageFromRaw({ bdf, config, resource, host: { ...host, ...(notes && { notes }) } });
  } catch (error) {
    if (error instanceof ImageError) throw new CliError(`${path}: ${firstProblem(error)}`);
    throw error;
  }
}
