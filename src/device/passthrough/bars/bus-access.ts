// A guest access at an address of the bus: which BAR decodes it, and what of it lies in that BAR.
import { fillOnes, type GuestAnswers } from "../../seam/guest-answers.ts";
import type { AddressSpace, TrappedRange } from "../../seam/platform.ts";
import { littleEndian, TraceKind, type Tracer } from "../../seam/trace.ts";
import type { BarAccess } from "./bar-access.ts";
import type { BarPlacement } from "./bar-placement.ts";

export class BusAccess {
  readonly #placement: BarPlacement;
  readonly #access: BarAccess;
  readonly #answers: GuestAnswers;
  readonly #trace: Tracer | undefined;

  constructor(placement: BarPlacement, access: BarAccess, answers: GuestAnswers, trace: Tracer | undefined) {
    this.#placement = placement;
    this.#access = access;
    this.#answers = answers;
    this.#trace = trace;
  }

  /** A guest's read. @param detached nothing answers any more @returns whether the device has the address */
  read(kind: AddressSpace, address: number, data: Uint8Array, detached: boolean): boolean {
    const range = detached ? undefined : this.#placement.find(kind, address);
    if (!range) {
      fillOnes(data);
      return this.#unanswered("read", address, data, detached);
    }
    const offset = address - range.base;
    this.#access.read(range.region, offset, this.#inside("read", range, address, data));
    if (this.#trace !== undefined) this.#tell(TraceKind.barRead, range.region, offset, data);
    return true;
  }

  /** A guest's write. @param detached nothing answers any more @returns whether the device has the address */
  write(kind: AddressSpace, address: number, data: Uint8Array, detached: boolean): boolean {
    const range = detached ? undefined : this.#placement.find(kind, address);
    if (!range) return this.#unanswered("write", address, data, detached);
    const offset = address - range.base;
    if (this.#trace !== undefined) this.#tell(TraceKind.barWrite, range.region, offset, data);
    this.#access.write(range.region, offset, this.#inside("write", range, address, data));
    return true;
  }

  /** An address that no BAR decodes. @returns false */
  #unanswered(access: "read" | "write", address: number, data: Uint8Array, detached: boolean): false {
    this.#answers.silent(
      { access, region: undefined, offset: address, width: data.length },
      detached ? "the device is detached" : "no BAR decodes the address",
    );
    return false;
  }

  /** What of an access lies in the range; the rest of a read is all ones, the rest of a write is dropped. */
  #inside(access: "read" | "write", range: TrappedRange, address: number, data: Uint8Array): Uint8Array {
    const room = range.base + range.size - address;
    if (data.length <= room) return data;
    if (access === "read") fillOnes(data, room);
    this.#answers.silent(
      { access, region: range.region, offset: range.size, width: data.length - room },
      "the BAR ends before it",
    );
    return data.subarray(0, room);
  }

  #tell(kind: number, region: number, offset: number, data: Uint8Array): void {
    this.#trace!.record(kind, region, offset, data.length, littleEndian(data), littleEndian(data, 4));
  }
}
