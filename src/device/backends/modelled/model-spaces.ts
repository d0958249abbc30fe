// What lies behind the BARs of a modelled device: banks of registers, and the MSI-X table and pending bits as plain memory.
import { VfioError } from "../../../ffi/errors.ts";
import type { RegionMapping } from "../../seam/backend.ts";
import type { RegionSpaces } from "../../function/region-spaces.ts";
import type { RegisterBank } from "./register-bank.ts";
import type { RestHandler } from "./description.ts";

/** Bytes of a BAR that are plain memory. */
export interface MemoryHole {
  readonly region: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class ModelSpaces implements RegionSpaces {
  readonly #name: string;
  readonly #banks: ReadonlyMap<number, RegisterBank>;
  readonly #holes: readonly MemoryHole[];
  /** By BAR: who has the bytes that no register covers. */
  rest: ReadonlyMap<number, RestHandler> = new Map();
  onAccess: () => void = () => {};
  onRestart: () => void = () => {};
  onClose: () => void = () => {};

  constructor(name: string, banks: ReadonlyMap<number, RegisterBank>, holes: readonly MemoryHole[]) {
    this.#name = name;
    this.#banks = banks;
    this.#holes = holes;
  }

  read(region: number, offset: number, data: Uint8Array): void {
    this.#parts(region, offset, data, (bank, at, part) => bank.read(at, part), "read");
    this.onAccess();
  }
  write(region: number, offset: number, data: Uint8Array): void {
    this.#parts(region, offset, data, (bank, at, part) => bank.write(at, part), "write");
    this.onAccess();
  }

  /** Splits an access where registers, plain memory and the rest meet. */
  #parts(
    region: number,
    offset: number,
    data: Uint8Array,
    act: (bank: RegisterBank, at: number, part: Uint8Array) => void,
    access: "read" | "write",
  ): void {
    const bank = this.#banks.get(region)!;
    for (let done = 0; done < data.length;) {
      const at = offset + done;
      const hole = this.#holes.find(
        (one) => one.region === region && at >= one.offset && at < one.offset + one.bytes.length,
      );
      const covered = bank.covers(at);
      let end = done + 1;
      if (hole) end = Math.min(data.length, done + hole.offset + hole.bytes.length - at);
      else
        while (
          end < data.length &&
          bank.covers(offset + end) === covered &&
          !this.#isHole(region, offset + end)
        )
          end++;
      const part = done === 0 && end === data.length ? data : data.subarray(done, end);
      if (hole && access === "read")
        part.set(hole.bytes.subarray(at - hole.offset, at - hole.offset + part.length));
      else if (hole) hole.bytes.set(part, at - hole.offset);
      else if (covered) act(bank, at, part);
      else this.#rest(region, at, part, access);
      done = end;
    }
  }

  #isHole(region: number, at: number): boolean {
    return this.#holes.some(
      (one) => one.region === region && at >= one.offset && at < one.offset + one.bytes.length,
    );
  }

  #rest(region: number, at: number, part: Uint8Array, access: "read" | "write"): void {
    const rest = this.rest.get(region);
    if (access === "read") part.fill(0);
    rest?.[access]?.(at, part);
  }

  map(region: number): RegionMapping {
    throw new VfioError(`${this.#name}: BAR${region} of a modelled device cannot be mapped`, {
      code: "EINVAL",
      device: this.#name,
    });
  }

  restart(): void {
    for (const bank of this.#banks.values()) bank.reset();
    for (const { bytes } of this.#holes) bytes.fill(0);
    this.onRestart();
  }

  [Symbol.dispose](): void {
    this.onClose();
  }
}
