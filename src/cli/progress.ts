// How far long work has come: one line of a terminal, which goes away as soon as there is something to print, or nothing left to do.
import { fstatSync, writeSync } from "node:fs";
import { printable } from "../regs/printable.ts";

const standardOutput = 1;
const standardError = 2;

/** Milliseconds of silence before anybody wonders. */
const patience = 1000;
/** Bytes, or what else is counted, from one look to the next where nobody knows how many there are. */
const unknownStep = 2 ** 20;

/** Returns to the line's beginning and empties it (ECMA-48, CR and EL). */
const erase = "\r\u001b[K";

/** Where the line stands. */
export interface ProgressTerminal {
  /** Undefined: nobody knows. */
  readonly columns?: number | undefined;
  write(text: string): void;
}

const anyWidth = 80;

/** The line. It stands on no terminal until `open` gives it one. */
export class ProgressLine {
  #terminal: ProgressTerminal | undefined;
  readonly #now: () => number;
  #silentSince: number;
  #shown = "";

  /** @param now milliseconds from any moment on */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#silentSince = now();
  }

  /** @param terminal undefined: nothing is shown */
  open(terminal: ProgressTerminal | undefined): void {
    this.#terminal = terminal;
    this.#silentSince = this.#now();
  }

  /** Shows how far the work is, if it has taken a while. */
  show(text: string): void {
    if (this.#terminal && this.#now() - this.#silentSince >= patience) this.#put(text);
  }

  /** Shows what may take a while at once: nothing can be shown while it does. */
  wait(text: string): void {
    this.#put(text);
  }

  /** Takes the line away. What is printed next begins where it began. */
  clear(): void {
    if (!this.#terminal) return;
    this.#silentSince = this.#now();
    if (this.#shown === "") return;
    this.#shown = "";
    this.#write(erase);
  }

  #put(text: string): void {
    if (!this.#terminal) return;
    // A line that wraps cannot be taken away: the last column stays free, also of a wide character that is cut at.
    const shown = Bun.sliceAnsi(printable(text), 0, Math.max(0, (this.#terminal.columns ?? anyWidth) - 2));
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#write(erase + shown);
  }

  #write(text: string): void {
    try {
      this.#terminal?.write(text);
    } catch {
      // A terminal that takes nothing is shown nothing, and the work goes on.
      this.#terminal = undefined;
    }
  }
}

/** The one line of this program. */
export const progress = new ProgressLine();

/** Work of which is known how far it has come. Disposing of it takes its line away. */
export class Progress implements Disposable {
  readonly #what: string;
  readonly #total: number | undefined;
  readonly #line: ProgressLine;
  #done = 0;
  #next: number;

  /** @param what is done, as `reading card.json` @param total how much there is; undefined for a stream @param line for tests */
  constructor(what: string, total: number | undefined, line: ProgressLine = progress) {
    this.#what = what;
    this.#total = total;
    this.#line = line;
    this.#next = this.#step;
  }

  get #step(): number {
    return this.#total === undefined ? unknownStep : this.#total / 100;
  }

  /** So much more is done. The line is looked at once a hundredth of the work: between two of them this is one comparison. */
  add(count: number): void {
    this.#done += count;
    if (this.#done < this.#next) return;
    this.#next = this.#done + this.#step;
    // What is cut off at the terminal's edge is the end of a name.
    this.#line.show(`${this.#share()}: ${this.#what}`);
  }

  #share(): string {
    if (this.#total === undefined) return `${Math.floor(this.#done / unknownStep)} MiB`;
    return `${Math.min(100, Math.floor((100 * this.#done) / this.#total))} %`;
  }

  [Symbol.dispose](): void {
    this.#line.clear();
  }
}

/** Tells of each item that it is done with once the next is asked for. */
export function* counted<Item>(items: Iterable<Item>, what: string, total: number): Generator<Item, void> {
  using done = new Progress(what, total);
  for (const item of items) {
    yield item;
    done.add(1);
  }
}

/**
 * The terminal to show progress on: standard error, where a person sees it alone. Not beside JSON, not on a terminal that moves no
 * cursor, and not before a pipe, whose reader may have the same terminal.
 * @param args words of the command line
 */
export function progressTerminal(args: readonly string[]): ProgressTerminal | undefined {
  const { stderr, env } = process;
  if (!stderr.isTTY || env["TERM"] === "dumb" || args.includes("--json") || isPipe(standardOutput))
    return undefined;
  return {
    get columns() {
      return stderr.columns;
    },
    // At once: what is shown before a call of the kernel's that waits has to be seen while it does.
    write: (text) => void writeSync(standardError, text),
  };
}

function isPipe(fd: number): boolean {
  try {
    const found = fstatSync(fd);
    return found.isFIFO() || found.isSocket();
  } catch {
    return true;
  }
}
