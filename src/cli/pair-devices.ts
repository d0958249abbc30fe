// Which device of one file is compared with which of another, while both are read.
import { CliError } from "./failure.ts";
import type { Input, InputDevice } from "./input.ts";

/** Two devices to compare, or one that the other file has not. */
export type Pair =
  | { readonly kind: "both"; readonly from: InputDevice; readonly to: InputDevice }
  | { readonly kind: "first" | "second"; readonly bdf: string };

/**
 * One device against one device whatever their places; otherwise those of the same BDF, the second time that it is there with
 * the second time. Files in the same order are held two devices at a time.
 */
export function* pairDevices(a: Input, b: Input): Generator<Pair> {
  const first = new Waiting(a);
  const second = new Waiting(b);
  const one = first.take();
  const other = second.take();
  const [two, another] = [first.take(), second.take()];
  if (one && other && !two && !another) return yield { kind: "both", from: one, to: other };
  for (const device of [one, two]) if (device) first.keep(device);
  for (const device of [other, another]) if (device) second.keep(device);
  for (;;) {
    yield* met(first, second);
    const [from, to] = [first.take(), second.take()];
    if (!from && !to) break;
    if (from) first.keep(from);
    if (to) second.keep(to);
  }
  for (const { bdf } of first.left()) yield { kind: "first", bdf: bdf! };
  for (const { bdf } of second.left()) yield { kind: "second", bdf: bdf! };
}

function* met(first: Waiting, second: Waiting): Generator<Pair> {
  for (const key of first.newKeys()) {
    const to = second.release(key);
    if (to) yield { kind: "both", from: first.release(key)!, to };
  }
  for (const key of second.newKeys()) {
    const from = first.release(key);
    if (from) yield { kind: "both", from, to: second.release(key)! };
  }
}

/** The devices of a file that have met no other yet. */
class Waiting {
  readonly #path: string;
  readonly #devices: Iterator<InputDevice>;
  readonly #waiting = new Map<string, InputDevice>();
  readonly #times = new Map<string, number>();
  #new: string[] = [];

  constructor({ path, devices }: Input) {
    this.#path = path;
    this.#devices = devices[Symbol.iterator]();
  }

  take(): InputDevice | undefined {
    const { done, value } = this.#devices.next();
    return done ? undefined : value;
  }

  keep(device: InputDevice): void {
    const { bdf } = device;
    if (bdf === undefined)
      throw new CliError(
        `${this.#path}: which of the other file's devices is it? add --device, as --device 0000:01:00.0`,
      );
    const times = (this.#times.get(bdf) ?? 0) + 1;
    this.#times.set(bdf, times);
    const key = `${bdf} ${times}`;
    this.#waiting.set(key, device);
    this.#new.push(key);
  }

  /** Keys of those that came since the last call. */
  newKeys(): string[] {
    const keys = this.#new;
    this.#new = [];
    return keys;
  }

  release(key: string): InputDevice | undefined {
    const device = this.#waiting.get(key);
    this.#waiting.delete(key);
    return device;
  }

  left(): Iterable<InputDevice> {
    return this.#waiting.values();
  }
}
