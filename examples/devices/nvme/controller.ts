// The controller: it is enabled and reset, doorbells are rung, commands are fetched, done and ended.
import { VfioError, type ModelContext } from "bun-vfio";
import { administer, later } from "./administration.ts";
import type { DoorbellBuffers } from "./doorbell-buffers.ts";
import { Events, ringError } from "./events.ts";
import { Logs } from "./identity.ts";
import { CompletionQueue, SubmissionQueue, type Command } from "./queues.ts";
import { page, type nvmeMap } from "./registers.ts";
import { CommandError, status } from "./status.ts";
import { Storage, type Medium } from "./storage.ts";

/** Commands of one queue that the medium has at once: however many there are, other queues need not wait for them. */
export const workingAtOnce = 32;
/** Commands taken at one time: a guest that rings on and on keeps the controller from nothing else. */
const takenAtOnce = 256;

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
  constructor(context: NvmeContext, medium: Medium, serial: string) {
    [this.#context, this.memory, this.serial] = [context, context.memory, serial];
    this.#registers = context.bars[0];
    this.storage = new Storage(context.memory, medium, (command, how) => this.#worked(command, how));
    this.#watch = context.watch(medium.ended, () => {
      medium.collect();
      this.#interrupt();
    });
    this.#forget();
  }

  /** The guest has written the configuration. */
  configure(): void {
    const { enable, shutdown } = this.#registers.view.fields.configuration;
    const { ready, shutdown: isShut } = this.#registers.view.fields.status;
    if (!enable) this.#stop();
    else if (!ready && this.#isQuiet) this.#start();
    if (shutdown === 0) this.#registers.set("status.shutdown", "none");
    else if (isShut === "none") {
      this.#registers.set("status.shutdown", "under way");
      this.storage.medium.sync(() => {
        if (this.#registers.get("status.shutdown") === "under way")
          this.#registers.set("status.shutdown", "complete");
        this.#settle();
      });
    }
  }

  /** Nothing of the guest's memory is read or written now. */
  get #isQuiet(): boolean {
    return this.storage.medium.pending === 0;
  }

  #start(): void {
    const { commandSet, pageSize, arbitration } = this.#registers.view.fields.configuration;
    const last = this.#registers.view.fields.adminLastEntries;
    const [submissions, completions] = [
      { id: 0, base: Number(this.#registers.get("adminSubmissions")), size: last.submission + 1 },
      { id: 0, base: Number(this.#registers.get("adminCompletions")), size: last.completion + 1 },
    ];
    const isPossible = [submissions, completions].every(
      ({ base, size }) => size > 1 && base % page === 0 && Number.isSafeInteger(base),
    );
    if (!isPossible || commandSet !== 0 || pageSize !== 0 || arbitration !== 0) return this.#fail();
    const of = new CompletionQueue(completions, 0);
    this.completions.set(0, of);
    this.submissions.set(0, new SubmissionQueue(submissions, of));
    this.#registers.set("status.ready", true);
  }

  /** Everything is as at the beginning; it is no longer ready once it touches no memory of the guest's. */
  #stop(): void {
    this.#forget();
    this.#registers.set("status.fatal", false);
    this.#settle();
  }

  #forget(): void {
    this.#continuation?.[Symbol.dispose]();
    this.#continuation = this.buffers = undefined;
    for (const all of [this.submissions, this.completions, this.features, this.underWay]) all.clear();
    this.logs = new Logs();
    this.events = new Events((command, result) => this.#end(command, status.success, result));
  }

  /** As after a reset of the function, whose registers are reset already. Returns once no memory is touched any more. */
  reset(): void {
    this.#forget();
    this.storage.medium.wait();
  }

  /** Nothing goes on from here: the guest has to reset the controller. */
  #fail(): void {
    this.#registers.set("status.fatal", true);
  }

  ringTail(id: number, value: number): void {
    const queue = this.#rung(this.submissions.get(id), value);
    if (queue) {
      queue.tail = value;
      this.#take(queue);
    }
    this.#interrupt();
  }

  ringHead(id: number, value: number): void {
    const queue = this.#rung(this.completions.get(id), value);
    if (queue && this.#consumed(queue, value))
      // There may be room for what waited for it.
      for (const one of this.submissions.values()) if (one.completions === queue) this.#take(one);
    this.#interrupt();
  }

  #rung<Q extends { readonly size: number }>(queue: Q | undefined, value: number): Q | undefined {
    if (queue && value < queue.size) return queue;
    this.events.raise(queue ? ringError.wrong : ringError.unknown);
    return undefined;
  }

  /** @returns false where the guest has not got that far */
  #consumed(queue: CompletionQueue, head: number): boolean {
    const isPossible = head < queue.size && (head - queue.head + queue.size) % queue.size <= queue.used;
    if (isPossible) queue.head = head;
    else this.events.raise(ringError.wrong);
    return isPossible;
  }

  /** Begins what a queue holds, as long as there is room for how it ends. */
  #take(queue: SubmissionQueue): void {
    const buffers = queue.id === 0 ? undefined : this.buffers;
    try {
      for (let turn = 0; turn < takenAtOnce; turn++) {
        if (this.submissions.get(queue.id) !== queue || this.#registers.get("status.fatal")) return;
        const tail = buffers?.tail(queue) ?? queue.tail;
        if (!this.#rung(queue, tail)) return;
        queue.tail = tail;
        if (!queue.isEmpty) {
          if (!this.#hasRoom(queue.completions, buffers)) return;
          this.#begin(queue.fetch(this.memory));
        } else {
          if (!buffers) return;
          buffers.wakeAtTail(queue);
          // The guest may have gone on before it could see that.
          if (buffers.tail(queue) === tail) return;
        }
      }
    } catch {
      // Queues that are in no memory.
      return this.#fail();
    }
    this.#continuation ??= this.#context.after(0, () => {
      this.#continuation = undefined;
      for (const one of this.submissions.values()) this.#take(one);
      this.#interrupt();
    });
  }

  #hasRoom(queue: CompletionQueue, buffers: DoorbellBuffers | undefined): boolean {
    if (queue.hasRoom || !buffers) return queue.hasRoom;
    buffers.wakeAtHead(queue);
    this.#consumed(queue, buffers.head(queue));
    return queue.hasRoom;
  }

  #begin(command: Command): void {
    this.underWay.add(command);
    command.queue.completions.reserved++;
    this.#try(command, () => {
      const { commandFused, commandLists } = command.entry;
      if (commandFused !== 0 || commandLists !== 0) throw new CommandError("invalidField");
      if (command.queue.id !== 0) return this.#work(command);
      const result = administer(this, command);
      if (result !== later) this.#end(command, status.success, result);
    });
  }

  #try(command: Command, act: () => void): void {
    try {
      act();
    } catch (error) {
      const isMemory = error instanceof VfioError;
      const how = isMemory
        ? status.dataTransfer
        : error instanceof CommandError
          ? error.status
          : status.internal;
      this.#end(command, how);
    }
  }

  #work(command: Command): void {
    const { working, waiting } = command.queue;
    if (working.size >= workingAtOnce) return void waiting.push(command);
    this.storage.begin(command);
    working.add(command);
  }

  /** The medium has done a command. */
  #worked(command: Command, how: number): void {
    const { queue } = command;
    queue.working.delete(command);
    this.#end(command, how);
    for (let next = queue.waiting.shift(); next; next = queue.waiting.shift()) {
      const one = next;
      this.#try(one, () => this.#work(one));
      if (queue.working.has(one)) break;
    }
    this.remove(queue);
    this.#settle();
  }

  /** A reset may have waited for what the medium did. */
  #settle(): void {
    if (this.submissions.size > 0 || !this.#isQuiet || !this.#registers.get("status.ready")) return;
    this.#registers.set("status.ready", false);
    this.configure();
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
    const queue = this.submissions.get(id);
    const isIt = (one: Command): boolean => one.queue === queue && one.entry.commandId === commandId;
    const command = [...this.underWay].find(isIt);
    if (!queue || !command) return false;
    const at = queue.waiting.indexOf(command);
    if (at >= 0) queue.waiting.splice(at, 1);
    else if (!this.events.take(command)) return false;
    this.#end(command, status.aborted);
    return true;
  }

  /** Tells the guest, once; nothing of a command that a reset has forgotten. */
  #end(command: Command, how: number, result = 0): void {
    if (!this.underWay.delete(command)) return;
    const { completions } = command.queue;
    completions.reserved--;
    if (how !== status.success && how !== status.aborted) this.logs.add(command, how);
    try {
      completions.post(this.memory, command, how, result);
    } catch {
      this.#fail();
    }
  }

  /** One for all that a queue has had to tell. */
  #interrupt(): void {
    for (const queue of this.completions.values()) {
      if (queue.isNews && queue.vector !== undefined) this.#context.interrupts.send(queue.vector);
      queue.isNews = false;
    }
  }

  /** Commands that were under way, as they were fetched, are begun again. */
  begin(commands: readonly Command[]): void {
    for (const command of commands) this.#begin(command);
    this.#interrupt();
  }

  /** Closes the medium. */
  [Symbol.dispose](): void {
    this.#forget();
    this.#watch[Symbol.dispose]();
    this.storage[Symbol.dispose]();
  }
}

export type NvmeContext = ModelContext<{ 0: { map: typeof nvmeMap } }>;
