// BAR registers hold what was written in the bits that their size leaves: that is how they are sized.
import { standardStart } from "../../regs/index.ts";
import { addressMask, typeBits, writableBits, type Bar } from "../pci/bars.ts";
import { barRegisters, romRegister } from "../pci/header-registers.ts";

const allBars = [...barRegisters, romRegister];

/** The bits of BAR registers that do not read as they were written. */
export class BarBits {
  /** Bits that read as what was written, and type bits. */
  readonly #mask = new Uint8Array(standardStart);
  readonly #type = new Uint8Array(standardStart);

  constructor(bars: readonly Bar[]) {
    const masks = new DataView(this.#mask.buffer);
    const types = new DataView(this.#type.buffer);
    for (const bar of bars) {
      bar.register.write(masks, writableBits(bar));
      bar.register.write(types, typeBits(bar));
      bar.upper?.write(masks, addressMask(bar).high);
    }
  }

  /** Makes the registers in a header what they read as. */
  fix(header: Uint8Array): void {
    for (const { at, size } of allBars)
      for (let i = at; i < at + size; i++) header[i] = (header[i]! & this.#mask[i]!) | this.#type[i]!;
  }
}
