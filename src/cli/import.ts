// `import`: images out of dumps and raw config spaces.
import { join } from "node:path";
import { ImageError } from "../image/error.ts";
import { regionName } from "../regs/vfio/regions.ts";
import type { DeviceImage } from "../image/image.ts";
import { imageFromRaw } from "../image/raw.ts";
import { Redaction } from "../image/redact.ts";
import { writeImage } from "../image/write.ts";
import { allOnesText, readsAllOnes } from "../regs/answers.ts";
import { inputName } from "./byte-source.ts";
import { CliError, exitCode, firstProblem } from "./failure.ts";
import { openInput, readText } from "./input.ts";
import { kindOf, OutputFiles, print, tell } from "./output.ts";
import { printable } from "../regs/printable.ts";
import { noteSkipped } from "./skipped-note.ts";

/** Devices that a warning names. */
const namedDevices = 8;
/** Far more than the kernel writes: 17 lines of 56 characters at most. */
const maxResourceBytes = 65536;

export interface ImportOptions {
  readonly output: string;
  readonly resource?: string | undefined;
  readonly device?: string | undefined;
  readonly force?: boolean | undefined;
  readonly redact?: boolean | undefined;
}

/** Makes an image of each device of a file, as it is read. @returns 1 if one of them does not answer */
export function importCommand(file: string, options: ImportOptions): number {
  const { output, force = false } = options;
  const input = openInput(file, options.device);
  const devices = input.devices[Symbol.iterator]();
  const first = devices.next();
  const second = devices.next();
  const one = second.done === true;
  if (options.resource !== undefined && !one)
    throw new CliError(
      `${input.path}: it has several devices, and --resource is of one; choose it with --device`,
    );
  const resource = options.resource === undefined ? undefined : readResource(options.resource);
  const notes = new ImportNotes();
  const known = new Map<string, number>();
  const redaction = options.redact ? new Redaction() : undefined;
  using files = new OutputFiles({ force, secret: true });
  const place = outputPlace(output, one, input.path, files);
  for (let next = first; !next.done; next = next === first ? second : devices.next()) {
    const { bdf, noImage } = next.value;
    if (bdf === undefined)
      throw new CliError(`${input.path}: which device is it? add its BDF, as --device 0000:01:00.0`);
    if (noImage !== undefined) {
      notes.leave(bdf, noImage);
      continue;
    }
    const described = next.value.image;
    const image = resource === undefined ? described : withResource(resource, described);
    // Of a device that is there again, the image of which more is known is the one to keep.
    const bytes = knownBytes(image);
    if (bytes < (known.get(bdf) ?? 0)) continue;
    known.set(bdf, bytes);
    notes.take(image);
    place(bdf, writeImage(redaction ? redaction.image(image) : image));
  }
  if (known.size === 0) throw new CliError(`${input.path}: ${notes.firstLeft}`);
  files.commit();
  for (const path of files.paths) print(`${printable(path)}\n`);
  noteSkipped(input);
  return notes.say() ? exitCode.found : exitCode.ok;
}

const knownBytes = ({ config, unknown }: DeviceImage): number =>
  (unknown?.config ?? []).reduce((left, { size }) => left - size, config.length);

/** Where the images of the devices go. */
function outputPlace(
  output: string,
  one: boolean,
  input: string,
  files: OutputFiles,
): (bdf: string, text: string) => void {
  if (output === "-") {
    if (!one)
      throw new CliError(`${input}: it has several devices; give a directory, or choose one with --device`);
    return (_, text) => print(text);
  }
  const kind = kindOf(output);
  const directory = kind === "directory" || output.endsWith("/") || !one;
  if (!directory) return (_, text) => files.add({ path: output, text });
  if (kind !== undefined && kind !== "directory")
    throw new CliError(
      `${output}: it is no directory, and ${input} has several devices; give a directory, or one device with --device`,
    );
  if (kind === undefined) files.makeFolder(output);
  return (bdf, text) => files.add({ path: join(output, `${bdf}.json`), text });
}

/** What is to be said of the images that were made, with a few of them by name. */
class ImportNotes {
  #devices = 0;
  #unknown = 0;
  #firstUnknown = "";
  readonly #gone: string[] = [];
  #goneCount = 0;
  #left = 0;
  /** The first device of which there is no image, and why. */
  firstLeft = "";

  leave(bdf: string, why: string): void {
    if (this.#left++ === 0) this.firstLeft = `${bdf}: ${why}`;
  }

  take({ bdf, config, regions, unknown: gaps }: DeviceImage): void {
    this.#devices++;
    if (readsAllOnes(config, gaps?.config) && this.#goneCount++ < namedDevices) this.#gone.push(bdf);
    const unknown = regions.filter(({ size }) => size === 0);
    if (unknown.length === 0) return;
    if (this.#unknown++ === 0)
      this.#firstUnknown = `${bdf}: sizes that are not known, which replay needs: ${unknown
        .map(({ index }) => regionName(index))
        .join(", ")}; import it again with --resource`;
  }

  /** @returns whether a device does not answer */
  say(): boolean {
    if (this.#left > 0)
      tell(`note: no image of ${this.#left} device${this.#left === 1 ? "" : "s"}, first ${this.firstLeft}`);
    // Config space alone does not tell how large a BAR is, and replay has to know.
    if (this.#unknown > 0)
      tell(
        `note: ${
          this.#devices === 1
            ? this.#firstUnknown
            : `the sizes of BARs of ${this.#unknown} of ${this.#devices} devices are not known, which replay needs; import one with --device and --resource`
        }`,
      );
    if (this.#goneCount === 0) return false;
    const more = this.#goneCount - this.#gone.length;
    const names = `${this.#gone.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    tell(`warning: ${names}: ${allOnesText}; the image is of no use`);
    return true;
  }
}

interface Resource {
  readonly path: string;
  readonly text: string;
}

const readResource = (path: string): Resource => ({
  path: inputName(path),
  text: readText(path, "the `resource` file of a device in sysfs", maxResourceBytes),
});

function withResource({ path, text }: Resource, { bdf, config, host, unknown }: DeviceImage): DeviceImage {
  try {
    const notes = host.notes?.filter((note) => !note.startsWith("sizes of "));
    return imageFromRaw({
      bdf,
      config,
      resource: text,
      host: { ...host, ...(notes && { notes }) },
      unknown: unknown?.config,
    });
  } catch (error) {
    if (error instanceof ImageError) throw new CliError(`${path}: ${firstProblem(error)}`);
    throw error;
  }
}
