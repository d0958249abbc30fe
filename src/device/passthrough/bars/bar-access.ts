// A guest access to a BAR, byte range by byte range: the MSI-X table, the PBA and mirrors of config space are the model's, the
// rest is the device's.
import type { DeviceBackend } from "../../seam/backend.ts";
import { barName } from "../../pci/bars.ts";
import { fillOnes, type GuestAnswers } from "../../seam/guest-answers.ts";
import type { UnansweredReason } from "../../seam/trace.ts";
import type { MirroredArea } from "../config/config-mirrors.ts";
import { isAcknowledgement, readMirror, writeMirror, type ConfigPort } from "../config/mirror-access.ts";
import type { Intx } from "../interrupts/intx.ts";
import type { InterruptControl } from "../interrupts/interrupt-control.ts";
import type { MsixArea } from "../../pci/msix-geometry.ts";
import type { AccessMap, PlainAreas } from "./access-map.ts";
import { hex } from "../../../regs/hex-text.ts";

const Part = { device: 0, table: 1, pba: 2, nothing: 3, mirror: 4 } as const;

/** What it needs of an attached device. */
export interface BarAccessParts {
  readonly backend: DeviceBackend;
  readonly interrupts: InterruptControl;
  readonly answers: GuestAnswers;
  readonly plan: { readonly accessMap: AccessMap };
}

/** Whether a failure is that of a device that has gone, or of the way to it. */
const saysSo = (cause: unknown): boolean =>
  typeof cause === "object" &&
  cause !== null &&
  "code" in cause &&
  (cause.code === "ENODEV" || cause.code === "EPIPE");

export class BarAccess {
  readonly #backend: DeviceBackend;
  readonly #interrupts: InterruptControl;
  readonly #answers: GuestAnswers;
  readonly #table: MsixArea | undefined;
  /** The table as the guest sees it. */
  readonly #tableBytes: Uint8Array | undefined;
  readonly #pba: MsixArea | undefined;
  /** Where the part found last ends. A field, not a result: a trap allocates nothing. */
  #end = 0;

  /** INTx where a trapped access unmasks it. */
  readonly #unmasked: Intx | undefined;
  /** By region. */
  readonly #plain: readonly (PlainAreas | undefined)[];
  readonly #mirrors: readonly MirroredArea[];
  readonly #config: ConfigPort;
  readonly #isGone: (ask: boolean) => boolean;
  /** The mirror found last, likewise. */
  #mirror: MirroredArea | undefined;

  /**
   * @param config what the guest finds in a mirror of config space
   * @param isGone whether the device has gone: as far as that is known, or `ask` it, which tells of it and withdraws it
   */
  constructor(
    { backend, interrupts, answers, plan }: BarAccessParts,
    config: ConfigPort,
    isGone: (ask: boolean) => boolean,
  ) {
    this.#isGone = isGone;
    this.#backend = backend;
    this.#interrupts = interrupts;
    this.#answers = answers;
    this.#config = config;
    this.#unmasked = interrupts.intx?.mode === "access" ? interrupts.intx : undefined;
    this.#table = plan.accessMap.table;
    this.#tableBytes = interrupts.msix?.state.table;
    this.#pba = plan.accessMap.pba;
    this.#mirrors = plan.accessMap.mirrors;
    this.#plain = plan.accessMap.plain;
  }

  /** Fills `data` with what the guest reads at byte `offset` of a BAR. All ones where nothing answers. */
  read(region: number, offset: number, data: Uint8Array): void {
    const plain = this.#plain[region]!;
    const end = offset + data.length;
    if (end <= plain.below || (offset >= plain.from && end <= plain.size))
      this.#readDevice(region, offset, data);
    else if (offset >= plain.tableFrom && end <= plain.tableEnd)
      this.#readTable(offset - plain.tableFrom, data);
    else this.#readParts(region, offset, data);
    if (this.#unmasked !== undefined) this.#unmasked.accessed();
  }

  #readTable(from: number, data: Uint8Array): void {
    const table = this.#tableBytes!;
    for (let i = 0; i < data.length; i++) data[i] = table[from + i]!;
  }

  #readParts(region: number, offset: number, data: Uint8Array): void {
    for (let done = 0; done < data.length;) {
      const at = offset + done;
      const part = this.#partAt(region, at);
      const count = Math.min(data.length - done, this.#end - at);
      if (part === Part.table) this.#readTable(at - this.#table!.offset, data.subarray(done, done + count));
      else if (part === Part.pba) this.#readPending(at - this.#pba!.offset, data, done, count);
      else if (part === Part.nothing) {
        fillOnes(data, done, done + count);
        this.#silent("read", region, at, count, "the device's own part of the BAR ends before it");
      } else if (part === Part.mirror) readMirror(this.#config, at - this.#mirror!.offset, data, done, count);
      else this.#readDevice(region, at, count === data.length ? data : data.subarray(done, done + count));
      done += count;
    }
  }

  /** Writes `data` as the guest does. Dropped where nothing answers. */
  write(region: number, offset: number, data: Uint8Array): void {
    const plain = this.#plain[region]!;
    const end = offset + data.length;
    if (end <= plain.below || (offset >= plain.from && end <= plain.size))
      this.#writeDevice(region, offset, data);
    else if (offset >= plain.tableFrom && end <= plain.tableEnd)
      this.#interrupts.tableWrite(offset - plain.tableFrom, data, 0, data.length);
    else this.#writeParts(region, offset, data);
    if (this.#unmasked !== undefined) this.#unmasked.accessed();
  }

  #writeParts(region: number, offset: number, data: Uint8Array): void {
    for (let done = 0; done < data.length;) {
      const at = offset + done;
      const part = this.#partAt(region, at);
      const count = Math.min(data.length - done, this.#end - at);
      if (part === Part.table) this.#interrupts.tableWrite(at - this.#table!.offset, data, done, count);
      else if (part === Part.device)
        this.#writeDevice(region, at, count === data.length ? data : data.subarray(done, done + count));
      else if (part === Part.mirror) this.#writeMirror(this.#mirror!, at, data, done, count);
      else if (part === Part.pba) this.#silent("write", region, at, count, "the PBA is read-only");
      else this.#silent("write", region, at, count, "the device's own part of the BAR ends before it");
      done += count;
    }
  }

  #partAt(region: number, at: number): number {
    const table = this.#table;
    const pba = this.#pba;
    let end = this.#plain[region]!.size;
    let part: number = Part.device;
    if (at >= end) {
      part = Part.nothing;
      end = Infinity;
    }
    if (table && table.region === region) {
      if (at >= table.offset && at < table.offset + table.size) {
        this.#end = table.offset + table.size;
        return Part.table;
      }
      if (at < table.offset && table.offset < end) end = table.offset;
    }
    if (pba && pba.region === region) {
      if (at >= pba.offset && at < pba.offset + pba.size) {
        this.#end = Math.min(end, pba.offset + pba.size);
        return Part.pba;
      }
      if (at < pba.offset && pba.offset < end) end = pba.offset;
    }
    if (this.#mirrors.length > 0) return this.#mirrorAt(region, at, part, end);
    this.#end = end;
    return part;
  }

  /** Few devices have one. */
  #mirrorAt(region: number, at: number, before: number, until: number): number {
    let part = before;
    let end = until;
    for (const mirror of this.#mirrors) {
      if (mirror.region !== region) continue;
      if (at >= mirror.offset && at < mirror.offset + mirror.size) {
        this.#mirror = mirror;
        part = Part.mirror;
        end = Math.min(end, mirror.offset + mirror.size);
      } else if (at < mirror.offset && mirror.offset < end) end = mirror.offset;
    }
    this.#end = end;
    return part;
  }

  #writeMirror(mirror: MirroredArea, at: number, data: Uint8Array, from: number, count: number): void {
    const offset = at - mirror.offset;
    writeMirror(this.#config, offset, data, from, count);
    if (isAcknowledgement(this.#interrupts.msi?.state.layout.offset, offset, count))
      this.#writeDevice(mirror.region, at, data.subarray(from, from + count));
  }

  #readPending(index: number, data: Uint8Array, from: number, count: number): void {
    const { physical, hasPending } = this.#interrupts.msix!;
    const { region, offset } = physical.pba;
    if (hasPending) this.#readDevice(region, offset + index, data.subarray(from, from + count), 0);
    else data.fill(0, from, from + count);
    this.#interrupts.addPending(data, from, count, index);
  }

  #readDevice(region: number, offset: number, data: Uint8Array, otherwise?: number): void {
    try {
      if (this.#plain[region]!.readable) return this.#backend.read(region, offset, data);
      this.#failed("read", region, offset, data.length, "the region cannot be read");
    } catch (cause) {
      this.#failed("read", region, offset, data.length, "the device does not answer", cause);
    }
    if (otherwise === undefined) fillOnes(data);
    else data.fill(otherwise);
  }

  #writeDevice(region: number, offset: number, data: Uint8Array): void {
    // The ROM and other read-only regions ignore writes, as their hardware does.
    if (!this.#plain[region]!.writable)
      return this.#silent("write", region, offset, data.length, "the region cannot be written");
    try {
      this.#backend.write(region, offset, data);
    } catch (cause) {
      this.#failed("write", region, offset, data.length, "the device does not answer", cause);
    }
  }

  #silent(
    access: "read" | "write",
    region: number,
    offset: number,
    width: number,
    why: UnansweredReason,
  ): void {
    this.#answers.silent({ access, region, offset, width }, why);
  }

  #failed(
    access: "read" | "write",
    region: number,
    offset: number,
    width: number,
    why: UnansweredReason,
    cause?: unknown,
  ): void {
    // One that has gone is told of once, not with each access of a guest that goes on.
    if (this.#isGone(saysSo(cause))) return this.#silent(access, region, offset, width, "the device is gone");
    const where = `${barName(region)} ${access} of ${width} at ${hex(offset)}`;
    this.#answers.failed("access-failed", where, { access, region, offset, width }, why, cause);
  }
}
