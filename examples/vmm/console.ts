// The terminal: what is typed goes to the guest, but for what follows Ctrl-A, which is for the VMM.
import { writeSync } from "node:fs";

/** What a person asks of the VMM. */
export type Command =
  { readonly kind: "quit" | "snapshot" | "help" } | { readonly kind: "unplug"; readonly slot: number };

const escape = 0x01;
const enter = new Set([0x0a, 0x0d, 0x20]);
const digit = (byte: number): number => (byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : -1);

export const help =
  "Ctrl-A x quits, Ctrl-A d N Enter asks the guest for the device of slot N, Ctrl-A s saves and quits, Ctrl-A Ctrl-A is Ctrl-A";

/** Takes what is typed apart. */
export class Keys {
  readonly #command: (command: Command) => void;
  #state: "guest" | "escaped" | "slot" = "guest";
  #slot = 0;

  constructor(command: (command: Command) => void) {
    this.#command = command;
  }

  /** @returns what of it is the guest's */
  take(typed: Uint8Array): number[] {
    return [...typed].filter((byte) => this.#isGuests(byte));
  }

  #isGuests(byte: number): boolean {
    if (this.#state === "guest") {
      if (byte !== escape) return true;
      this.#state = "escaped";
    } else if (this.#state === "slot") this.#takeSlot(byte);
    else {
      this.#state = "guest";
      const key = String.fromCharCode(byte);
      if (byte === escape) return true;
      if (key === "d") {
        this.#slot = 0;
        this.#state = "slot";
      } else this.#command({ kind: key === "x" ? "quit" : key === "s" ? "snapshot" : "help" });
    }
    return false;
  }

  #takeSlot(byte: number): void {
    if (digit(byte) >= 0 && this.#slot < 100) this.#slot = 10 * this.#slot + digit(byte);
    else if (byte === 0x20 && this.#slot === 0)
      return; // "d 1"
    else {
      this.#state = "guest";
      this.#command(enter.has(byte) ? { kind: "unplug", slot: this.#slot } : { kind: "help" });
    }
  }
}

/** Writes all, wherever the terminal or the reader of a pipe takes its time. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;)
    try {
      done += writeSync(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Bun.sleepSync(1);
    }
}

/** Gives what is typed to `keys`. `dispose` gives the terminal back as it was. */
export function openTerminal(typed: (bytes: Uint8Array) => void): Disposable {
  const { stdin } = process;
  if (stdin.isTTY) stdin.setRawMode(true);
  const listener = (chunk: Uint8Array): void => typed(chunk);
  stdin.on("data", listener);
  return {
    [Symbol.dispose]: () => {
      stdin.off("data", listener);
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
    },
  };
}
