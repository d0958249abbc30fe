// The state that config space holds for the guest, dword by dword: what the guest can write and reads back.
import type { ConfigKind } from "../../pci/config-kind.ts";
import { startOf, type ConfigOffset } from "../../pci/config-offset.ts";
import type { Stateful } from "../../seam/stateful.ts";
import type { ConfigState } from "./config-schema.ts";
import type { ConfigSpace } from "./config-space.ts";

/** Which dwords a `RegisterState` leaves to other parts, and what of the others never comes back. */
export interface RegisterOwners {
  /** Whether another part has the dword. */
  readonly isOthers: (offset: ConfigOffset) => boolean;
  /** Bits of the dword that set something off: a reset, a change of power. */
  readonly triggers: (offset: ConfigOffset) => number;
}

export class RegisterState implements Stateful<ConfigState> {
  readonly #config: ConfigSpace;
  readonly #owners: RegisterOwners;
  readonly #bits: DataView;
  readonly #clear: DataView;

  constructor(config: ConfigSpace, kind: ConfigKind, owners: RegisterOwners) {
    this.#config = config;
    this.#owners = owners;
    this.#bits = new DataView(stateBits(config, kind).buffer);
    const { clear } = config.tables;
    this.#clear = new DataView(clear.buffer, clear.byteOffset, clear.byteLength);
  }

  save(): ConfigState {
    const registers: { offset: number; value: number }[] = [];
    for (let offset = 0; offset < this.#bits.byteLength; offset += 4) {
      const at = startOf({ offset });
      const bits = this.#bits.getUint32(offset, true);
      if (bits !== 0 && !this.#owners.isOthers(at))
        registers.push({ offset, value: (this.#config.read(at, 4) & bits) >>> 0 });
    }
    return { registers };
  }

  /** @throws RangeError for a register that config space does not have */
  restore({ registers }: ConfigState): void {
    for (const { offset, value } of registers) {
      if (offset % 4 !== 0 || offset >= this.#bits.byteLength)
        throw new RangeError(`there is no register at ${offset}`);
      const at = startOf({ offset });
      const bits = this.#bits.getUint32(offset, true);
      if (bits === 0 || this.#owners.isOthers(at)) continue;
      // The saved bits over what the device has; bits that a 1 clears are written 0.
      const clear = this.#clear.getUint32(offset, true);
      const merged = (this.#config.read(at, 4) & ~bits & ~clear) | (value & bits);
      const written = (merged & ~this.#owners.triggers(at)) >>> 0;
      this.#config.store(at, 4, written);
      this.#config.forward(at, 4, written);
    }
  }
}

/** Bits of config space that make up state: emulated and writable, or kept by the device for the guest. */
function stateBits({ tables }: ConfigSpace, { layout }: ConfigKind): Uint8Array {
  const { emulated, write, size, limit } = tables;
  const bits = new Uint8Array(new ArrayBuffer(size));
  const maps = [...(layout.header ? [{ offset: 0, map: layout.header }] : []), ...layout.capabilities];
  for (const { offset, map } of maps) {
    const { masks } = map;
    for (let i = 0; i < masks.write.length; i++)
      bits[offset + i]! |=
        masks.write[i]! & ~masks.volatile[i]! & ~masks.precious[i]! & ~emulated[offset + i]!;
  }
  for (let at = 0; at < limit; at++) bits[at]! |= emulated[at]! & write[at]!;
  return bits;
}
