// The controller: it is enabled and reset, doorbells are rung, commands are fetched, done and ended.
import type { DmaMedium, ModelContext } from "bun-vfio";
import { administer, later } from "./administration.ts";
import type { DoorbellBuffers } from "./doorbell-buffers.ts";
import { Events, ringError } from "./events.ts";
import { Logs } from "./identity.ts";
import * as queues from "./queues.ts";
import type { Command, CompletionQueue, SubmissionQueue } from "./queues.ts";
import { page, type nvmeMap } from "./registers.ts";
import { need, status, statusOf } from "./status.ts";
import { Storage } from "./storage.ts";

/** Commands of one queue that the medium has at once: however many there are, other queues need not wait for them. */
export const workingAtOnce = 32;
/** Commands taken at one time: a guest that rings on and on keeps the controller from nothing else. */
const takenAtOnce = 256;
export type NvmeContext = ModelContext<{ 0: { map: typeof nvmeMap } }>;

export class Controller implements Disposable {
  readonly memory: NvmeContext["memory"];
  readonly serial: string;
  readonly storage: Storage;
  readonly submissions = new Map<number, SubmissionQueue>();
  readonly completions = new Map<number, CompletionQueue>();
  /** What was set, by number. */
  readonly features = new Map<number, number>();
  readonly underWay = new Set<Command>();
  logs!: Logs;
  events!: Events;
  buffers: DoorbellBuffers | undefined;
  readonly #context: NvmeContext;
  readonly #registers: NvmeContext["bars"][0];
  readonly #watch: Disposable;
  #continuation: Disposable | undefined;

  /** @param medium taken over */
  constructor(context: NvmeContext, medium: DmaMedium, serial: string) {
    [this.#context, this.memory, this.serial] = [context, context.memory, serial];
    this.#registers = context.bars[0];
    this.storage = new Storage(context.memory, medium, (command, how) => this.#worked(command, how));
    this.#watch = context.watch(medium.ended, () => {
      medium.collect();
      this.#interrupt();
    });
    this.#forget();
  }

  /** The guest has written the configuration, or what a reset waited for is over. */
  configure(): void {
    const { configuration, status } = this.#registers.view.fields;
    const isQuiet = this.storage.medium.pending === 0;
    if (!configuration.enable && this.submissions.size > 0) this.#forget();
    // It is ready until it touches no memory of the guest's any more.
    if (this.submissions.size === 0 && isQuiet) this.#registers.set("status.ready", false);
    if (!configuration.enable) this.#registers.set("status.fatal", false);
    else if (!status.ready) this.#start();
    if (configuration.shutdown === 0) this.#registers.set("status.shutdown", "none");
    else if (status.shutdown === "none") {
      this.#registers.set("status.shutdown", "under way");
      this.storage.medium.sync(() => {
        const isWanted = this.#registers.get("status.shutdown") === "under way";
        if (isWanted) this.#registers.set("status.shutdown", "complete");
        this.configure();
      });
    }
  }

  #start(): void {
    const { configuration, adminLastEntries: last } = this.#registers.view.fields;
    const { commandSet, pageSize, arbitration } = configuration;
    const from = { id: 0, base: Number(this.#registers.get("adminSubmissions")), size: last.submission + 1 };
    const to = { id: 0, base: Number(this.#registers.get("adminCompletions")), size: last.completion + 1 };
    const isPlace = ({ base, size }: queues.Place): boolean =>
      base % page === 0 && Number.isSafeInteger(base) && size > 1;
    if ((commandSet | pageSize | arbitration) !== 0 || !isPlace(from) || !isPlace(to))
      return this.#registers.set("status.fatal", true);
    const completions = queues.completionQueue(to, 0);
    this.completions.set(0, completions);
    this.submissions.set(0, queues.submissionQueue(from, completions));
    this.#registers.set("status.ready", true);
  }

  #forget(): void {
    this.#continuation?.[Symbol.dispose]();
    this.#continuation = this.buffers = undefined;
    for (const all of [this.submissions, this.completions, this.features, this.underWay]) all.clear();
    this.logs = new Logs();
    this.events = new Events((command, result) => this.#end(command, status.success, result));
  }

  /** The function was reset, and its registers. Returns once no memory is touched any more. */
  reset(): void {
    this.#forget();
    this.storage.medium.wait();
  }

  /** A doorbell. */
  ring(of: "submissions" | "completions", id: number, value: number): void {
    const queue = this[of].get(id);
    if (!queue) this.events.raise(ringError.unknown);
    else if (this.#ring(queue, value))
      // Of completions that were taken: there may be room for what waited for it.
      for (const one of this.submissions.values())
        if (one === queue || one.completions === queue) this.#take(one);
    this.#interrupt();
  }

  #ring(queue: SubmissionQueue | CompletionQueue, value: number): boolean {
    const isPossible = queues.ring(queue, value);
    if (!isPossible) this.events.raise(ringError.wrong);
    return isPossible;
  }

  /** Begins what a queue holds, as long as there is room for how it ends. */
  #take(queue: SubmissionQueue): void {
    const buffers = queue.id === 0 ? undefined : this.buffers;
    const isGone = (): boolean => this.submissions.get(queue.id) !== queue || queue.deletion !== undefined;
    try {
      for (let turn = 0; turn < takenAtOnce; turn++) {
        if (isGone() || this.#registers.get("status.fatal")) return;
        if (buffers && !this.#ring(queue, buffers.tail(queue))) return;
        if (queue.head !== queue.tail) {
          if (!this.#hasRoom(queue.completions, buffers)) return;
          this.#begin(queues.fetch(this.memory, queue));
        } else {
          buffers?.wakeAtTail(queue);
          // The guest may have gone on before it could see that.
          if (!buffers || buffers.tail(queue) === queue.tail) return;
        }
      }
    } catch {
      // Queues that are in no memory: nothing goes on from here.
      return this.#registers.set("status.fatal", true);
    }
    this.#continuation ??= this.#context.after(0, () => this.#continue());
  }

  #continue(): void {
    this.#continuation = undefined;
    for (const one of this.submissions.values()) this.#take(one);
    this.#interrupt();
  }

  #hasRoom(queue: CompletionQueue, buffers: DoorbellBuffers | undefined): boolean {
    if (buffers && !queues.hasRoom(queue)) {
      buffers.wakeAtHead(queue);
      this.#ring(queue, buffers.head(queue));
    }
    return queues.hasRoom(queue);
  }

  #begin(command: Command): void {
    this.underWay.add(command);
    command.queue.completions.reserved++;
    try {
      need(command.entry.commandFused === 0 && command.entry.commandLists === 0, "invalidField");
      const result = command.queue.id === 0 ? administer(this, command) : this.#work(command);
      if (result !== later) this.#end(command, status.success, result ?? 0);
    } catch (error) {
      this.#end(command, statusOf(error));
    }
  }

  #work(command: Command): typeof later {
    const { working, waiting } = command.queue;
    if (working.size < workingAtOnce) {
      this.storage.begin(command);
      working.add(command);
    } else waiting.push(command);
    return later;
  }

  /** The medium has done a command. */
  #worked(command: Command, how: number): void {
    const { queue } = command;
    queue.working.delete(command);
    this.#end(command, how);
    while (queue.waiting.length > 0 && queue.working.size < workingAtOnce) {
      const next = queue.waiting.shift()!;
      try {
        // A reset has forgotten those that are no longer under way.
        if (this.underWay.has(next)) this.#work(next);
      } catch (error) {
        this.#end(next, statusOf(error));
      }
    }
    this.remove(queue);
    if (this.submissions.size === 0) this.configure();
  }

  /** Ends what waits in a queue that is deleted; it is gone, and its deletion ended, once nothing is under way. */
  remove(queue: SubmissionQueue): void {
    if (!queue.deletion) return;
    for (const command of queue.waiting.splice(0)) this.#end(command, status.queueDeleted);
    if (queue.working.size > 0) return;
    this.submissions.delete(queue.id);
    this.#end(queue.deletion, status.success);
  }

  /** @returns whether the command was ended before the medium had it */
  abort(id: number, commandId: number): boolean {
    const isIt = ({ queue, entry }: Command): boolean => queue.id === id && entry.commandId === commandId;
    const command = [...this.underWay].find(isIt);
    const at = command?.queue.waiting.indexOf(command) ?? -1;
    if (!command || (at < 0 && !this.events.take(command))) return false;
    if (at >= 0) command.queue.waiting.splice(at, 1);
    this.#end(command, status.aborted);
    return true;
  }

  /** Tells the guest, once; nothing of a command that a reset has forgotten. */
  #end(command: Command, how: number, result = 0): void {
    if (!this.underWay.delete(command)) return;
    command.queue.completions.reserved--;
    if (how !== status.success && how !== status.aborted) this.logs.add(command, how);
    try {
      queues.post(this.memory, command, how, result);
    } catch {
      this.#registers.set("status.fatal", true);
    }
  }

  /** One for all that a queue has had to tell. */
  #interrupt(): void {
    for (const queue of this.completions.values()) {
      if (queue.isNews && queue.vector !== undefined) this.#context.interrupts.send(queue.vector);
      queue.isNews = false;
    }
  }

  /** Begins commands again that were under way, once whoever restores has the memory in its place. */
  resume(commands: readonly Command[]): void {
    this.#continuation = this.#context.after(0, () => {
      for (const command of commands) this.#begin(command);
      this.#continue();
    });
  }

  [Symbol.dispose](): void {
    this.#forget();
    this.#watch[Symbol.dispose]();
    this.storage[Symbol.dispose]();
  }
}
