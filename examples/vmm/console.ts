// The terminal: what is typed goes to the guest, but for what follows Ctrl-A, which is for the VMM.
import { writeSync } from "node:fs";

/** What a person asks of the VMM. */
export type Command =
  { readonly kind: "quit" | "snapshot" | "help" } | { readonly kind: "unplug"; readonly slot: number };

const escapeByte = 0x01;

export const help =
  "Ctrl-A x quits, Ctrl-A d N Enter asks the guest for the device of slot N, Ctrl-A s saves and quits, Ctrl-A Ctrl-A is Ctrl-A";

/** Takes what is typed apart. */
export class Keys {
  readonly #command: (command: Command) => void;
  /** What was typed since Ctrl-A. */
  #escaped: string | undefined;

  constructor(command: (command: Command) => void) {
    this.#command = command;
  }

  /** @returns what of it is the guest's */
  take(typed: Uint8Array): number[] {
    return [...typed].filter((byte) => this.#isGuests(byte));
  }

  #isGuests(byte: number): boolean {
    if (this.#escaped === undefined) {
      if (byte !== escapeByte) return true;
      this.#escaped = "";
      return false;
    }
    this.#escaped += String.fromCharCode(byte);
    // The number of a slot is not at its end yet.
    if (/^d ?\d{0,2}$/.test(this.#escaped)) return false;
    const command = this.#escaped;
    this.#escaped = undefined;
    if (byte === escapeByte && command.length === 1) return true;
    const slot = /^d ?(\d{1,2})[ \r\n]$/.exec(command)?.[1];
    if (slot !== undefined) this.#command({ kind: "unplug", slot: Number(slot) });
    else this.#command({ kind: command === "x" ? "quit" : command === "s" ? "snapshot" : "help" });
    return false;
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
  // By itself a listener does not take a pause back.
  stdin.resume();
  return {
    [Symbol.dispose]: () => {
      stdin.off("data", listener);
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
    },
  };
}
