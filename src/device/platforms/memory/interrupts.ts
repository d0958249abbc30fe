import type { Interrupts, IntxLine, MsiGroup } from "../../seam/platform.ts";
import type { DeliveredInterrupt } from "./action.ts";
import { Irqchip } from "./irqchip.ts";
import { type Journal, refuse } from "./journal.ts";
import { type EndOfInterrupt, Line } from "./line.ts";
import { Vectors } from "./vectors.ts";

/** Vectors of an MSI-X capability: 11 bits of Message Control hold their number (PCIe Base Specification 7.7.2.2). */
const maxVectors = 2048;

export interface InterruptOptions {
  readonly maxRoutes: number;
  readonly maxVectors: number;
  /** Undefined: no line for any device. */
  readonly intx: EndOfInterrupt | undefined;
}

/** MSI groups and INTx lines of the platform, and what they brought to the guest. */
export class InterruptController implements Interrupts {
  readonly irqchip: Irqchip;
  /** Everything injected so far, in order. */
  interrupts: DeliveredInterrupt[] = [];
  readonly groups = new Set<Vectors>();
  readonly lines = new Set<Line>();
  readonly #journal: Journal;
  readonly #options: InterruptOptions;
  #nextGroup = 0;
  #nextLine = 0;
  #nextGsi = 0;
  #reported = 0;

  constructor(journal: Journal, options: InterruptOptions) {
    this.#journal = journal;
    this.#options = options;
    this.irqchip = new Irqchip(options.maxRoutes);
  }

  createMsiGroup(vectors: number): MsiGroup {
    if (typeof vectors !== "number") throw new TypeError(`vectors must be a number, not ${typeof vectors}`);
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > maxVectors)
      throw new RangeError(`vectors must be an integer from 1 to ${maxVectors}, not ${vectors}`);
    let inUse = vectors;
    for (const { count } of this.groups) inUse += count;
    if (inUse > this.#options.maxVectors)
      throw refuse("ENOSPC", `the platform has ${this.#options.maxVectors} vectors, ${inUse} are wanted`);
    const group = this.#nextGroup;
    return this.#journal.perform({ kind: "msi-create", group, vectors }, () => {
      const made: Vectors = new Vectors(
        { group, count: vectors, firstGsi: this.#nextGsi },
        this.#journal,
        this.irqchip,
        (interrupt) => this.interrupts.push(interrupt),
        () => this.groups.delete(made),
      );
      this.groups.add(made);
      this.#nextGroup++;
      this.#nextGsi += vectors;
      return made;
    });
  }

  createIntx(pin: number): IntxLine | undefined {
    this.#journal.check();
    if (typeof pin !== "number") throw new TypeError(`pin must be a number, not ${typeof pin}`);
    if (!Number.isInteger(pin) || pin < 1 || pin > 4)
      throw new RangeError(`pin must be 1 to 4 for INTA to INTD, not ${pin}`);
    const { intx } = this.#options;
    if (!intx) return undefined;
    const line = this.#nextLine;
    return this.#journal.perform({ kind: "intx-create", line, pin }, () => {
      const made: Line = new Line(line, pin, intx, this.#journal, () => this.lines.delete(made));
      this.lines.add(made);
      this.#nextLine++;
      return made;
    });
  }

  deliver(): DeliveredInterrupt[] {
    for (const group of this.groups) group.deliver();
    for (const line of this.lines) line.deliver();
    const fresh = this.interrupts.slice(this.#reported);
    this.#reported = this.interrupts.length;
    return fresh;
  }

  clearInterrupts(): void {
    this.interrupts = [];
    this.#reported = 0;
  }

  /** @throws TypeError if it is no line of this platform; RangeError if its number is unknown */
  line(which: IntxLine | number): Line {
    for (const line of this.lines) if (line === which || line.line === which) return line;
    if (typeof which === "number") throw new RangeError(`there is no INTx line ${which}`);
    throw new TypeError("this is no open INTx line of this platform");
  }

  clear(): void {
    for (const group of this.groups) group.abandon();
    for (const line of this.lines) line.abandon();
    this.groups.clear();
    this.lines.clear();
    this.irqchip.clear();
  }
}
