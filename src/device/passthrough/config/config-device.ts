import { VfioError } from "../../../ffi/errors.ts";
import { hex } from "../../../regs/hex-text.ts";
import { RegionIndex } from "../../../regs/vfio/regions.ts";
import { offsetOf, type ConfigOffset } from "../../pci/config-offset.ts";
import { command } from "../../pci/header-registers.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import { allOnes, type GuestAnswers } from "../../seam/guest-answers.ts";

const views = (buffer: ArrayBuffer): readonly Uint8Array[] =>
  [0, 1, 2, 3, 4].map((width) => new Uint8Array(buffer, 0, width));

/** Config space of the device itself, and what becomes of an access that it does not answer. */
export class ConfigDevice {
  readonly #backend: DeviceBackend;
  readonly #answers: GuestAnswers;
  readonly #lost: () => void;
  /** Whether failures throw. */
  #strict = false;
  #gone = false;
  /** The first bytes of one buffer, by width: an access allocates nothing. */
  readonly #bytes = views(new ArrayBuffer(4));

  /** @param lost told once, when the device is found to be gone */
  constructor(backend: DeviceBackend, answers: GuestAnswers, lost: () => void) {
    this.#backend = backend;
    this.#answers = answers;
    this.#lost = lost;
  }

  /** Looks whether the device still answers; one that does not is gone. */
  isPresent(): boolean {
    if (!this.#gone && !this.#answersStill()) this.#lose("read", offsetOf(command), 4, undefined);
    return !this.#gone;
  }

  /** Bits of COMMAND and STATUS are reserved and read 0: all ones is no answer. The IDs are the host's own copy. */
  #answersStill(): boolean {
    const bytes = new Uint8Array(new ArrayBuffer(4));
    try {
      this.#backend.read(RegionIndex.config, offsetOf(command), bytes);
    } catch {
      return false;
    }
    return bytes.some((byte) => byte !== 0xff);
  }

  #lose(access: "read" | "write", offset: ConfigOffset, width: number, cause: unknown): void {
    this.#gone = true;
    this.#lost();
    const unanswered = { access, region: RegionIndex.config, offset, width };
    this.#answers.failed("device-gone", "the device is gone", unanswered, "the device is gone", cause);
  }

  /** @returns bytes that hold until the next access; undefined where it does not answer, which is reported */
  read(offset: ConfigOffset, width: number): Uint8Array | undefined {
    if (this.#gone) return this.#absent();
    const bytes = this.#bytes[width]!;
    try {
      this.#backend.read(RegionIndex.config, offset, bytes);
      return bytes;
    } catch (cause) {
      this.#failed("read", offset, width, cause);
      return undefined;
    }
  }

  /** The same as a number, unsigned; all ones where it does not answer. */
  readNumber(offset: ConfigOffset, width: number): number {
    const bytes = this.read(offset, width);
    if (!bytes) return allOnes(width);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = (value << 8) | bytes[i]!;
    return value >>> 0;
  }

  /** @returns whether it arrived; a failure is reported */
  write(offset: ConfigOffset, width: number, value: number): boolean {
    if (this.#gone) {
      this.#absent();
      return false;
    }
    const bytes = this.#bytes[width]!;
    for (let i = 0; i < width; i++) bytes[i] = value >>> (8 * i);
    try {
      this.#backend.write(RegionIndex.config, offset, bytes);
      return true;
    } catch (cause) {
      this.#failed("write", offset, width, cause);
      return false;
    }
  }

  /** Runs `act` for the VMM; see `ConfigSpace.throwing`. @throws VfioError, and what `act` throws */
  throwing<T>(act: () => T): T {
    const outer = this.#strict;
    this.#strict = true;
    try {
      return act();
    } finally {
      this.#strict = outer;
    }
  }

  /** @throws VfioError for the VMM */
  #absent(): undefined {
    const { name } = this.#backend;
    if (this.#strict) throw new VfioError(`${name} is gone`, { code: "ENODEV", device: name });
    return undefined;
  }

  #failed(access: "read" | "write", offset: ConfigOffset, width: number, cause: unknown): void {
    const isLoss = cause instanceof VfioError && (cause.code === "ENODEV" || cause.code === "EIO");
    if (isLoss && !this.#answersStill()) {
      this.#lose(access, offset, width, cause);
      this.#absent();
      return;
    }
    const where = `config ${access} of ${width} at ${hex(offset)}`;
    if (!this.#strict) {
      const unanswered = { access, region: RegionIndex.config, offset, width };
      return this.#answers.failed("access-failed", where, unanswered, "the device does not answer", cause);
    }
    const device = this.#backend.name;
    const code = cause instanceof VfioError ? cause.code : "EIO";
    throw new VfioError(`${device}: ${where} fails`, { code, device, cause });
  }
}
