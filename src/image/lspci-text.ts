// Reads what `lspci -x`, `-xxx` or `-xxxx` printed, out of whatever text it stands in, device by device.
import { imageError, quote } from "./error.ts";
import { areasOfZeros } from "./areas.ts";
import type { ImageUnknowns } from "./image.ts";
import { loggedLine } from "./bare-line.ts";
import { innerLines, shortestDump } from "./inner-lines.ts";
import { bytesSource, Lines, type ByteSource } from "./lines.ts";
import { dumpLine, slotFault, slotName, type DumpLine } from "./lspci-line.ts";
import { NumberedLines } from "./numbered-line.ts";
import { SoftBreaks, WrappedLines, type Piece } from "./soft-breaks.ts";
import { DumpRow, maxConfig } from "./lspci-row.ts";

/** One device of an lspci dump. */
export interface LspciDevice {
  /** In full, as `0000:01:00.0`; with a device number up to ff or a function up to 9, as lspci takes it, where the text has such. */
  readonly bdf: string;
  /** What the first line says after the BDF, at most 1000 characters. */
  readonly title: string;
  /** Line of the BDF, counted from 1. */
  readonly line: number;
  /** 64, 256 or 4096 bytes: of a dump that ends within the header 64. */
  readonly config: Uint8Array;
  /** What of `config` no row gives: its bytes mean nothing, and are 0. Undefined where all is there. */
  readonly unknown?: ImageUnknowns | undefined;
}

/** A number of lines or devices of one kind, and the first of them. */
export interface Counted {
  /** How many there are. */
  readonly count: number;
  /** Counted from 1; 0 where there is none. */
  readonly line: number;
  /** The first of them. */
  readonly text: string;
}

/** What of a text was left out. */
export interface SkippedText {
  /** Lines that are neither a device nor a row, and nothing that lspci prints. */
  readonly lines: Counted;
  /** Rows of a dump that belong to no device. */
  readonly rows: Counted;
  /** Rows with something behind their bytes. */
  readonly cut: Counted;
  /** Devices without rows. */
  readonly withoutRows: Counted;
  /** Devices whose function lspci does not take for a number. */
  readonly devices: Counted;
  /** Devices that are there more than once: each time is one of the devices read. */
  readonly repeated: Counted;
  /** Devices that Linux dumped into its log: as the firmware left them, before any driver. */
  readonly early: Counted;
}

const openBrace = 0x7b;
const equals = 0x3d;
/** Characters of a line that are looked at where it is no plain row. */
const lookedAt = 1024;
const titleLimit = 1000;
const headerSize = 64;
/** Devices of which it is remembered that they were there. */
const rememberedDevices = 2 ** 20;

class Counter implements Counted {
  count = 0;
  line = 0;
  text = "";
  add(line: number, text: string): void {
    if (this.count++ > 0) return;
    this.line = line;
    this.text = text;
  }
  /** The last `count` lines are none of these. */
  takeBack(count: number): void {
    this.count -= count;
    if (count === 0 || this.count > 0) return;
    this.line = 0;
    this.text = "";
  }
}

/**
 * A text that is read once, as it comes, with one device of it in memory. It takes all that `lspci -F` takes and reads it
 * alike (lib/dump.c of pciutils), and besides what stands around dumps in mails, logs and pages. Two things differ: a row
 * behind a blank line counts where it goes on with the dump, and one that is damaged costs itself alone.
 */
export class LspciText {
  /** What was left out so far, of each kind the first. */
  readonly skipped = {
    lines: new Counter(),
    rows: new Counter(),
    cut: new Counter(),
    withoutRows: new Counter(),
    devices: new Counter(),
    repeated: new Counter(),
    early: new Counter(),
  };
  readonly #lines: Lines;
  readonly #row = new DumpRow();
  readonly #numbers = new NumberedLines();
  readonly #soft = new SoftBreaks();
  readonly #wrapped = new WrappedLines();
  readonly #config = new Uint8Array(maxConfig);
  readonly #known = new Uint8Array(maxConfig);
  readonly #seen = new Set<string>();
  #top = 0;
  #device: { readonly bdf: string; readonly title: string; readonly line: number } | undefined;
  #afterBlank = false;

  /** Devices of a source, read as they come. */
  constructor(source: ByteSource) {
    this.#lines = new Lines(source);
  }

  /** The devices in their order, once; `skipped` is complete when they end. None is no error. */
  *devices(): Generator<LspciDevice> {
    const lines = this.#lines;
    while (lines.next()) {
      const { bytes, start, end, number } = lines;
      if (!this.#soft.isOpen) {
        if (end === start) {
          this.#afterBlank = true;
          continue;
        }
        if (bytes[end - 1] !== equals && this.#row.read(bytes, start, end)) {
          this.#takeRow(undefined, number);
          continue;
        }
      }
      const inner = end - start < shortestDump ? undefined : innerLines(lines.text());
      if (inner) {
        yield* this.#takeAll(this.#soft.end());
        for (const text of inner) yield* this.#takeLine(dumpLine(text.slice(0, lookedAt)), text, number);
        continue;
      }
      const whole = bytes[start] === openBrace ? loggedLine(lines.text()) : undefined;
      yield* this.#takeAll(this.#soft.take(whole?.slice(0, lookedAt) ?? lines.text(lookedAt), number));
    }
    yield* this.#takeAll(this.#soft.end());
    const last = this.#finish();
    if (last) yield last;
  }

  *#takeAll(pieces: readonly Piece[]): Generator<LspciDevice> {
    for (const { text, number } of pieces) {
      let line = dumpLine(this.#numbers.rest(text, number));
      const whole =
        line.kind === "other" || line.kind === "expected"
          ? this.#wrapped.rest(text, number, line.kind === "other")
          : undefined;
      if (whole) {
        line = dumpLine(whole.text);
        this.skipped.lines.takeBack(whole.skipped);
      }
      yield* this.#takeLine(line, text, number);
    }
  }

  *#takeLine(line: DumpLine, text: string, number: number): Generator<LspciDevice> {
    if (line.kind === "heading") {
      const done = this.#finish();
      this.#begin(line.bdf, line.title, number);
      if (line.kernel) this.skipped.early.add(number, line.bdf);
      if (done) yield done;
    } else if (line.kind === "row") this.#takeText(line.text, number);
    else if (line.kind === "blank") this.#afterBlank = true;
    else if (line.kind === "other") this.skipped.lines.add(number, text.slice(0, lookedAt).trim());
  }

  #begin(text: string, title: string, line: number): void {
    const fault = slotFault(text);
    this.#afterBlank = false;
    if (fault !== undefined) this.skipped.devices.add(line, fault);
    else this.#device = { bdf: slotName(text), title: title.slice(0, titleLimit), line };
  }

  #takeText(text: string, number: number): void {
    const bytes = new TextEncoder().encode(text);
    if (this.#row.read(bytes, 0, bytes.length)) this.#takeRow(text, number);
    else this.skipped.lines.add(number, text);
  }

  /** @param text of the row where it is not the line's */
  #takeRow(text: string | undefined, number: number): void {
    const { offset, length, bytes, excess } = this.#row;
    const said = (): string => text ?? this.#lines.text(lookedAt).trim();
    if (!this.#device || (this.#afterBlank && offset !== this.#top))
      return this.skipped.rows.add(number, said());
    if (excess) this.skipped.cut.add(number, said());
    else this.#wrapped.row(offset + length, number);
    this.#afterBlank = false;
    const end = offset + length;
    for (let at = 0; at < length; at++) this.#config[offset + at] = bytes[at]!;
    this.#known.fill(1, offset, end);
    if (end > this.#top) this.#top = end;
  }

  #finish(): LspciDevice | undefined {
    const device = this.#device;
    const top = this.#top;
    if (!device) return undefined;
    this.#device = undefined;
    if (top === 0) return void this.skipped.withoutRows.add(device.line, device.bdf);
    this.#top = 0;
    const size = top <= headerSize ? headerSize : top <= 256 ? 256 : maxConfig;
    const config = this.#config.slice(0, size);
    const unknown = areasOfZeros(this.#known, size);
    this.#config.fill(0, 0, top);
    this.#known.fill(0, 0, top);
    if (this.#seen.has(device.bdf)) this.skipped.repeated.add(device.line, device.bdf);
    else if (this.#seen.size < rememberedDevices) this.#seen.add(device.bdf);
    return { ...device, config, ...(unknown.length > 0 && { unknown: { config: unknown } }) };
  }
}

/**
 * Reads what `lspci -x`, `-xxx` or `-xxxx` prints, of any number of devices, with or without `-v`; `LspciText` reads as it
 * comes what is too much for memory, and says what it left out.
 * @throws ImageError where no device with rows is in it
 */
export function readLspci(text: string): LspciDevice[] {
  const dump = new LspciText(bytesSource(new TextEncoder().encode(text)));
  const devices = [...dump.devices()];
  if (devices.length === 0) throw noDevice(dump.skipped);
  return devices;
}

/** Why a text has no device. */
export function noDevice({ withoutRows, devices, rows }: SkippedText): Error {
  if (withoutRows.count > 0)
    return imageError(`${withoutRows.text} has no dump of its config space: run lspci with -xxxx`, {
      line: withoutRows.line,
    });
  if (devices.count > 0) return imageError(devices.text, { line: devices.line });
  if (rows.count > 0)
    return imageError(`a row of a dump before any device ("01:00.0 ..."): ${quote(rows.text)}`, {
      line: rows.line,
    });
  return imageError("no device: expected the output of lspci -xxxx");
}
