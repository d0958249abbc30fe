import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import type { IrqRequest } from "../../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import type { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { errnoName } from "../../../../src/ffi/errno.ts";
import { Eventfd } from "../../../../src/ffi/eventfd.ts";
import { IrqSetBuffer, irqSetText, trySetIrqs } from "../../../../src/ffi/vfio-irqs.ts";
import { layoutOf } from "../../../../src/regs/index.ts";
import { seededRandom, type Random } from "../../../support/random.ts";
import { bytes, hex, outcome, Trail } from "./lockstep.ts";

const config = RegionIndex.config;
/** More vectors than any of the devices has: requests ask for too many, too. */
const buffer = new IrqSetBuffer(128);
const eventfds = 6;
/** Descriptors that are no eventfd: none, closed, a file. */
const strange = [-1, -1, -1, 9999, 0];

/** A request with places in a side's pool for descriptors; from 100 on, of those that are strange. */
type Step = IrqRequest;

/** Random SET_IRQS, resets and config writes to a device and to its recording. */
export class IrqLockstep {
  /** The first steps after which they differed: in result, in what eventfds hold, or in what config space reads. */
  readonly differences: string[] = [];
  /** How often each kind of request had each outcome: shows that not all were refused. */
  readonly outcomes = new Map<string, number>();
  readonly #kernel: KernelDevice;
  readonly #recorded: RecordedDevice;
  readonly #random: Random;
  readonly #sides: readonly (readonly Eventfd[])[];
  /** Where config space has to do with interrupts: COMMAND, and the control registers of MSI and MSI-X. */
  readonly #places: readonly number[];
  readonly #trail = new Trail();

  constructor(
    { kernel, recorded }: { kernel: KernelDevice; recorded: RecordedDevice },
    seed: number,
    own: DisposableStack,
  ) {
    this.#kernel = kernel;
    this.#recorded = recorded;
    this.#random = seededRandom(seed);
    this.#sides = [0, 1].map(() => Array.from({ length: eventfds }, () => own.use(new Eventfd())));
    const now = bytes(kernel.regions[config]!.size);
    kernel.read(config, 0, now);
    const controls = layoutOf(now).capabilities.filter(
      ({ id, extended }) => !extended && (id === 0x05 || id === 0x11),
    );
    this.#places = [0x04, ...controls.map(({ offset }) => offset + 2)];
  }

  run(steps: number): void {
    for (let i = 0; i < steps && this.differences.length < 20; i++) {
      const kind = this.#random.below(100);
      if (kind < 2) this.#reset();
      else if (kind < 15) this.#configWrite();
      else this.#request();
    }
  }

  #note(text: string, kind: string, kernel: string, recorded: string): void {
    const [theirs, ours] = [kernel, recorded].map((result, side) => `${result} ${this.#signals(side)}`);
    const key = `${kind} ${kernel}`;
    this.outcomes.set(key, (this.outcomes.get(key) ?? 0) + 1);
    if (theirs !== ours) this.differences.push(`${text}: ${theirs}, recorded ${ours} after ${this.#trail}`);
    this.#trail.add(`${text} ${kernel}`);
  }

  #signals(side: number): string {
    return this.#sides[side]!.map((eventfd) => eventfd.drain()).join("");
  }

  #reset(): void {
    const [kernel, recorded] = [this.#kernel, this.#recorded].map((device) => outcome(() => device.reset()));
    this.#note("reset", "reset", kernel!, recorded!);
  }

  #configWrite(): void {
    const at = this.#random.pick(this.#places);
    const data = Uint8Array.of(this.#random.below(256), this.#random.below(256));
    // Memory decoding stays on: what a device in the dark does, the comparison of config accesses sees.
    if (at === 0x04) data[0] = 0x02 | (data[0]! & 0x05);
    const results = [this.#kernel, this.#recorded].map((device) => {
      const written = outcome(() =>
        device.write(config, at, bytes(2).fill(data[0]!, 0, 1).fill(data[1]!, 1)),
      );
      const now = this.#places.map((place) => {
        const two = bytes(2);
        device.read(config, place, two);
        return two.toHex();
      });
      return `${written} ${now.join(" ")}`;
    });
    const isSame = results[0] === results[1];
    this.#note(
      `${hex(at)}=${data.toHex()}`,
      "config",
      isSame ? "ok" : results[0]!,
      isSame ? "ok" : results[1]!,
    );
  }

  #request(): void {
    const step = randomStep(this.#random, this.#recorded);
    const [forKernel, forRecorded] = this.#sides.map((side) => withDescriptors(step, side));
    const result = trySetIrqs(this.#kernel.fd, forKernel!, buffer);
    const kernel = result === 0 ? "ok" : result < 0 ? errnoName(-result) : "ENOSPC";
    const recorded = outcome(() => this.#recorded.setIrqs(forRecorded!));
    const places = step.data.kind === "eventfd" ? ` [${step.data.fds}]` : "";
    this.#note(`${irqSetText(step)}${places}`, `${step.action} ${step.data.kind}`, kernel, recorded);
  }
}

const withDescriptors = (step: Step, side: readonly Eventfd[]): IrqRequest =>
  step.data.kind !== "eventfd"
    ? step
    : {
        ...step,
        data: { kind: "eventfd", fds: step.data.fds.map((at) => side[at]?.fd ?? strange[at - 100]!) },
      };

function randomStep({ below, pick }: Random, { irqs }: RecordedDevice): Step {
  const chance = (percent: number): boolean => below(100) < percent;
  const index = chance(95) ? below(5) : pick([5, 6, 255]);
  const vectors = irqs[index]?.count ?? 0;
  const action = chance(75) ? "trigger" : pick(["mask", "unmask"] as const);
  const start = chance(70) ? 0 : Math.max(0, pick([1, 2, vectors - 1, vectors, vectors + 1, 2048]));
  const many = [2, 3, vectors - start, vectors, vectors + 1].map((n) => Math.min(Math.max(0, n), 70));
  const count = chance(15) ? 0 : chance(60) ? 1 : pick(many);
  const each = <T>(value: () => T): T[] => Array.from({ length: count }, value);
  // Unmasking has an eventfd of its own, which nobody signals: the kernel would hear of it later, in its own time.
  const eventfd = (): number => (action === "trigger" ? below(eventfds - 1) : eventfds - 1);
  switch (pick(["none", "bool", "eventfd", "eventfd"] as const)) {
    case "none":
      return { index, action, start, data: { kind: "none", count } };
    case "bool":
      return { index, action, start, data: { kind: "bool", values: each(() => below(2) === 1) } };
    case "eventfd":
      return {
        index,
        action,
        start,
        data: { kind: "eventfd", fds: each(() => (chance(75) ? eventfd() : 100 + below(strange.length))) },
      };
  }
}
