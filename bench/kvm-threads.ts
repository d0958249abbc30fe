// `bun bench/kvm-threads.ts`, where /dev/kvm is: what it costs a guest where its exits are handled, and how soon a vCPU that
// runs in a thread of its own hears a kick. Ratios count, taken in one run; absolute times are this machine's.
import { getRegs, getSregs, setRegs, setSregs } from "../src/ffi/kvm-vcpu.ts";
import { AccessMailbox } from "../src/kvm/access-mailbox.ts";
import { GuestMemory } from "../src/kvm/guest-memory.ts";
import { Kvm } from "../src/kvm/kvm.ts";
import { VirtualMachine } from "../src/kvm/machine.ts";
import { runLoop, type AccessHandlers } from "../src/kvm/run-loop.ts";
import { TrapBus } from "../src/kvm/trap-bus.ts";
import { Vcpu } from "../src/kvm/vcpu.ts";
import { VcpuControl } from "../src/kvm/vcpu-control.ts";

/**
 * Who answers the guest's writes to a port: the vCPU's own thread; or the thread of the devices, by `AccessMailbox`, or woken in one
 * of three other ways.
 */
export type Way = "own" | "mailbox" | "wait" | "waitAsync" | "postMessage";
interface Orders {
  readonly vm: number;
  readonly runSize: number;
  readonly way: Way;
  readonly control: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
  readonly mailbox: SharedArrayBuffer;
}
/** What the threads share, by index: the guest's question, its answer, exits, kicks seen, whether the vCPU is there. */
const word = { asked: 0, answered: 1, exits: 2, kicks: 3, there: 4 } as const;

/** Bytes of guests: `out` again and again, `jmp` to itself, `hlt` again and again. */
const programs = { exits: [0xe6, 0x80, 0xeb, 0xfc], spins: [0xeb, 0xfe], halts: [0xf4, 0xeb, 0xfd] } as const;

function makeVcpu(vm: number, runSize: number, control?: VcpuControl): Vcpu {
  const vcpu = new Vcpu({ vm, id: 0, runSize, control });
  const special = getSregs(vcpu.fd);
  Object.assign(special.cs, { base: 0n, selector: 0 });
  setSregs(vcpu.fd, special);
  const registers = getRegs(vcpu.fd);
  Object.assign(registers, { rip: 0x1000n, rflags: 2n });
  setRegs(vcpu.fd, registers);
  return vcpu;
}

declare const self: Worker;

/** In the Worker. */
function runVcpu({ vm, runSize, way, control, words: shared, mailbox }: Orders): void {
  const words = new Int32Array(shared);
  using vcpu = makeVcpu(vm, runSize, new VcpuControl(control));
  Atomics.store(words, word.there, 1);
  Atomics.notify(words, word.there);
  const nothing = (): void => {};
  const ask = (): void => {
    const question = Atomics.add(words, word.asked, 1) + 1;
    if (way === "postMessage") postMessage(0);
    else Atomics.notify(words, word.asked);
    for (let answer: number; (answer = Atomics.load(words, word.answered)) !== question;)
      Atomics.wait(words, word.answered, answer);
  };
  const asks = new AccessMailbox(mailbox).ofVcpu(0);
  const handlers: AccessHandlers = {
    ...{ ioRead: nothing, mmioRead: nothing, mmioWrite: nothing },
    ioWrite: (port, data) => {
      Atomics.add(words, word.exits, 1);
      if (way === "mailbox") asks.ioWrite(port, data);
      else if (way !== "own") ask();
    },
  };
  runLoop(vcpu, {
    ...handlers,
    kicked: () => {
      Atomics.add(words, word.kicks, 1);
      Atomics.notify(words, word.kicks);
    },
  });
  postMessage("ended");
}

/** A machine whose one vCPU runs in a Worker. */
class Threaded {
  readonly control = new VcpuControl();
  readonly words = new Int32Array(new SharedArrayBuffer(64));
  readonly #mailbox = new AccessMailbox(1);
  readonly #machine: VirtualMachine;
  readonly #memory: GuestMemory;
  readonly #worker = new Worker(new URL(import.meta.url).href);
  readonly #ended: Promise<void>;
  #stopped = false;

  constructor(kvm: Kvm, program: readonly number[], way: Way) {
    this.#machine = new VirtualMachine(kvm);
    this.#memory = new GuestMemory(this.#machine.slots, { places: [{ gpa: 0, size: 0x10000 }] });
    this.#memory.write(0x1000, new Uint8Array(program));
    this.#ended = new Promise((resolve) => {
      this.#worker.onmessage = ({ data }) => (data === "ended" ? resolve() : void this.#answer());
    });
    const shared = {
      control: this.control.buffer,
      words: this.words.buffer as SharedArrayBuffer,
      mailbox: this.#mailbox.buffer,
    };
    this.#worker.postMessage({ vm: this.#machine.fd, runSize: kvm.runSize, way, ...shared } satisfies Orders);
    if (way === "waitAsync") void this.#serve();
    else if (way === "mailbox") void this.#mailbox.serve(new TrapBus(), () => this.#stopped);
  }

  /** @returns the question that it has answered: one that comes in the meantime is another */
  #answer(): number {
    const asked = Atomics.load(this.words, word.asked);
    Atomics.store(this.words, word.answered, asked);
    Atomics.notify(this.words, word.answered);
    return asked;
  }

  async #serve(): Promise<void> {
    for (let asked = 0, turn = 1; !this.#stopped; asked = this.#answer()) {
      const next = Atomics.waitAsync(this.words, word.asked, asked);
      if (next.async) await next.value;
      // The event loop gets its turn though more is asked.
      else if (turn++ % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Answers without the event loop, for so many milliseconds. */
  serveBlocked(milliseconds: number): void {
    const end = performance.now() + milliseconds;
    for (let asked = 0; performance.now() < end; asked = this.#answer())
      Atomics.wait(this.words, word.asked, asked, 10);
  }

  async there(): Promise<void> {
    const wait = Atomics.waitAsync(this.words, word.there, 0);
    if (wait.async) await wait.value;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.control.stop();
    this.#mailbox.close();
    this.#mailbox.ring();
    // One that waits for its answer stops after it.
    const answers = setInterval(() => this.#answer(), 1);
    await this.#ended;
    clearInterval(answers);
    this.#worker.terminate();
    this.#memory[Symbol.dispose]();
    this.#machine[Symbol.dispose]();
  }
}

/** Exits a second of a guest that does nothing else. @param time in ms */
export async function exitRate(kvm: Kvm, way: Way | "main", time: number): Promise<number> {
  if (way === "main") return mainRate(kvm, time);
  const guest = new Threaded(kvm, programs.exits, way);
  await guest.there();
  const serve = async (milliseconds: number): Promise<void> =>
    way === "wait" ? guest.serveBlocked(milliseconds) : Bun.sleep(milliseconds);
  const exitsSoFar = (): number => Atomics.load(guest.words, word.exits);
  // An emulated processor takes its time for the first.
  while (exitsSoFar() === 0) await serve(5);
  const before = exitsSoFar();
  const begin = Bun.nanoseconds();
  await serve(time);
  const exits = exitsSoFar() - before;
  const seconds = (Bun.nanoseconds() - begin) / 1e9;
  await guest.stop();
  return exits / seconds;
}

function mainRate(kvm: Kvm, time: number): number {
  using machine = new VirtualMachine(kvm);
  using memory = new GuestMemory(machine.slots, { places: [{ gpa: 0, size: 0x10000 }] });
  memory.write(0x1000, new Uint8Array(programs.exits));
  const control = new VcpuControl();
  using vcpu = makeVcpu(machine.fd, machine.runSize, control);
  const nothing = (): void => {};
  let exits = 0;
  const begin = Bun.nanoseconds();
  const end = begin + time * 1e6;
  const ioWrite = (): void => {
    if ((++exits & 15) === 0 && Bun.nanoseconds() > end) control.stop();
  };
  runLoop(vcpu, { ...{ ioRead: nothing, mmioRead: nothing, mmioWrite: nothing }, ioWrite });
  return exits / ((Bun.nanoseconds() - begin) / 1e9);
}

/** From a kick to when the vCPU's thread has seen it, in microseconds: the median of so many. */
export async function kickLatency(kvm: Kvm, program: "spins" | "halts", kicks: number): Promise<number> {
  const guest = new Threaded(kvm, programs[program], "own");
  await guest.there();
  const times: number[] = [];
  for (let i = 0; i < kicks; i++) {
    await Bun.sleep(1);
    const begin = Bun.nanoseconds();
    guest.control.kick();
    while (Atomics.load(guest.words, word.kicks) === i) Atomics.wait(guest.words, word.kicks, i, 1);
    times.push((Bun.nanoseconds() - begin) / 1000);
  }
  await guest.stop();
  return times.sort((a, b) => a - b)[kicks >> 1]!;
}

/** How much later than asked for a timer of 1 ms fires on the main thread, in ms: the worst of a time, in ms. */
export async function timerDelay(kvm: Kvm, where: "main" | "worker", time: number): Promise<number> {
  let worst = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    worst = Math.max(worst, now - last - 1);
    last = now;
  }, 1);
  await exitRate(kvm, where === "main" ? "main" : "own", time);
  await Bun.sleep(2);
  clearInterval(timer);
  return worst;
}

export const ways = ["main", "own", "mailbox", "wait", "waitAsync", "postMessage"] as const;

/** The lines of the report. @param time of each measurement, in ms @param kicks of each */
export async function* threadsReport(kvm: Kvm, time: number, kicks: number): AsyncGenerator<string> {
  let most: number | undefined;
  for (const way of ways) {
    const rate = await exitRate(kvm, way, time);
    most ??= rate;
    yield `${way.padEnd(12)}${rate.toFixed(0).padStart(8)} exits/s, ${(most / rate).toFixed(2)}x the time`;
  }
  for (const program of ["spins", "halts"] as const)
    yield `kick of a guest that ${program}: ${(await kickLatency(kvm, program, kicks)).toFixed(0)} us`;
  for (const where of ["main", "worker"] as const)
    yield `timer of 1 ms, vCPU in ${where}: ${(await timerDelay(kvm, where, time)).toFixed(1)} ms late`;
}

if (!Bun.isMainThread) self.onmessage = ({ data }: MessageEvent<Orders>) => runVcpu(data);
else if (import.meta.main) {
  using kvm = new Kvm();
  await exitRate(kvm, "main", 500);
  for await (const line of threadsReport(kvm, 1000, 101)) console.log(line);
}
