import { RegionIndex } from "../../regs/vfio/regions.ts";
import type { AttachedDevice } from "./attach.ts";
import type { ConfigSpace } from "./config/config-space.ts";
import { badConfigValue } from "./config/config-value.ts";
import { unansweredConfig } from "./config/unanswered-config.ts";
import type { DecodeControl } from "./decoding.ts";
import { WriteEffect, type WriteEffects } from "./write-effects.ts";

/** A guest's accesses to config space, and what they set off: those to the space itself, and to a mirror of it in a BAR. */
export class GuestConfig {
  readonly #parts: AttachedDevice;
  readonly #config: ConfigSpace;
  readonly #effects: WriteEffects;
  readonly #decode: DecodeControl;
  #closed = false;

  constructor(parts: AttachedDevice, decode: DecodeControl) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#effects = parts.effects;
    this.#decode = decode;
  }

  /** Whether the device is detached: nothing answers any more. */
  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#closed = true;
    this.#parts.config.close();
  }

  /** See `VfioPciDevice.configRead`. */
  read(offset: number, width: number): number {
    const config = this.#config;
    if (!config.accepts(offset, width) || this.#closed || config.gone)
      return this.#unanswered("read", offset, width);
    const value = config.read(offset, width);
    // It went with this read: what shows its memory goes too.
    if (config.gone) this.#decode.sync();
    return value;
  }

  /** See `VfioPciDevice.configWrite`. @throws TypeError, RangeError as that */
  write(offset: number, width: number, value: number): void {
    const config = this.#config;
    const effects = this.#effects;
    if (!config.accepts(offset, width) || this.#closed || config.gone) {
      this.#unanswered("write", offset, width);
      return;
    }
    if (typeof value !== "number" || value >>> 0 !== value) throw badConfigValue(value);
    const effect = effects.at(offset);
    if (effect === WriteEffect.command) return this.#decode.writeCommand(offset, width, value);
    if (effect === WriteEffect.power) return this.#decode.writePower(offset, width, value);
    if (effect === WriteEffect.reset && effects.isTriggered(offset, width, value))
      return this.#decode.guestReset(offset, width, value);
    config.store(offset, width, value);
    config.forward(offset, width, value);
    if (effect === WriteEffect.msix) this.#parts.interrupts.msixControlWritten();
    if (effect === WriteEffect.msi) this.#parts.interrupts.msiWritten();
    // A BAR may have moved; and where INTx came or went, that may decide what can be mapped.
    const follows = effect !== WriteEffect.none && effect !== WriteEffect.reset;
    if (follows || config.gone) this.#decode.sync(effect === WriteEffect.bar && width < 4);
  }

  #unanswered(access: "read" | "write", offset: number, width: number): number {
    return unansweredConfig(this.#parts, { access, region: RegionIndex.config, offset, width }, this.#closed);
  }
}
