// What a run of conversations comes to.
import { commandName } from "../../../src/device/vfio-user/messages/header.ts";

/** How many conversations, and which. */
export interface FuzzOptions {
  readonly cases: number;
  readonly seed: number;
  /** Hears how far it is, now and then. */
  readonly onProgress?: (done: number) => void;
}

/** Counts of one run. */
export class FuzzReport {
  conversations = 0;
  messages = 0;
  /** Connections that ended for what was said. */
  ended = 0;
  /** Accesses of memory that were compared with what is mapped. */
  checked = 0;
  /** How often a command was done, by number. */
  readonly done = new Map<number, number>();

  count(command: number): void {
    this.done.set(command, (this.done.get(command) ?? 0) + 1);
  }

  /** Commands that were done less often. */
  below(least: number, commands: readonly number[]): string[] {
    return commands
      .filter((command) => (this.done.get(command) ?? 0) < least)
      .map((command) => `${commandName(command)} ${this.done.get(command) ?? 0}`);
  }

  /** For people. */
  text(side: string, seed: number): string {
    const done = [...this.done]
      .sort(([a], [b]) => a - b)
      .map(([one, times]) => `${commandName(one)} ${times}`);
    return (
      `${side}: seed ${seed}, ${this.conversations} conversations, ${this.messages} messages, ${this.ended} connections ended, ` +
      `${this.checked} accesses of memory compared\n  done: ${done.join(", ")}`
    );
  }
}
