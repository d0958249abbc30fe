// machines: (kvm)
// takes: 20 s
// All vCPUs of a machine in threads of their own: made, run, stopped, saved, ended; and nothing is left, whatever fails.
import { afterAll, expect, test } from "bun:test";
import { GuestMemory } from "../../../src/kvm/guest-memory.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import { VirtualMachine } from "../../../src/kvm/machine.ts";
import { TrapBus } from "../../../src/kvm/trap-bus.ts";
import { VcpuThreads, type VcpuStart, type VcpuThreadsOptions } from "../../../src/kvm/vcpu-threads.ts";
import { cpuidOf } from "../../../src/kvm/x86/cpuid.ts";
import { writeLongModeTables } from "../../../src/kvm/x86/long-mode.ts";
import type { VcpuState } from "../../../src/kvm/x86/vcpu-state.ts";
import { descriptors } from "./support/devices.ts";

const kvm = new Kvm();
afterAll(() => kvm[Symbol.dispose]());

const tables = 0x8000;
/** Asks port 0x30 what to add, and tells port 0x31 the sum so far; in long mode. */
const adder = [
  ...[0x31, 0xdb], // xor ebx, ebx
  ...[0xe4, 0x30], // again: in al, 0x30
  ...[0x00, 0xc3], // add bl, al
  ...[0x88, 0xd8], // mov al, bl
  ...[0xe6, 0x31], // out 0x31, al
  ...[0xeb, 0xf6], // jmp again
];
const tripleFault = [0x0f, 0x0b]; // ud2, and there is no handler

class Machine implements AsyncDisposable {
  readonly machine = new VirtualMachine(kvm);
  readonly memory = new GuestMemory(this.machine.slots, { places: [{ gpa: 0, size: 2 ** 20 }] });
  readonly bus = new TrapBus();
  cpus: VcpuThreads | undefined;

  /** @param starts states to go on from; without, the first of `count` vCPUs runs the program */
  static async make(
    program: readonly number[],
    count: number,
    starts?: readonly VcpuState[],
    options: VcpuThreadsOptions = {},
  ): Promise<Machine> {
    const made = new Machine();
    made.memory.write(0x1000, new Uint8Array(program));
    writeLongModeTables(made.memory, tables);
    const supported = kvm.supportedCpuid();
    const fresh = Array.from({ length: count }, (_, id): VcpuStart => ({
      cpuid: cpuidOf(supported, id, count),
      longMode: id === 0 ? { entry: 0x1000, argument: 0, stack: tables, tables } : undefined,
    }));
    try {
      made.cpus = await VcpuThreads.make(kvm, made.machine, starts ?? fresh, options);
    } catch (error) {
      await made[Symbol.asyncDispose]();
      throw error;
    }
    return made;
  }

  /** Answers each question with 1 and stops after so many sums. */
  async sums(count: number): Promise<number[]> {
    const sums: number[] = [];
    using _in = this.bus.insert("io", 0x30, 1, "what to add", { ioRead: (_port, data) => void data.fill(1) });
    using _out = this.bus.insert("io", 0x31, 1, "the sum", {
      ioWrite: (_port, [sum]) => {
        sums.push(sum!);
        if (sums.length === count) this.cpus!.stop();
      },
    });
    expect(await this.cpus!.run(this.bus)).toBe("stopped");
    return sums;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cpus?.[Symbol.asyncDispose]();
    this.memory[Symbol.dispose]();
    this.machine[Symbol.dispose]();
  }
}

/** `expect(...).rejects` keeps the thread until then, which here has accesses to answer. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

/** What KVM and memory files left open; a Worker's own descriptors come and go. */
const left = (): string[] => descriptors().filter((line) => /kvm|memfd/.test(line));
const before = left();
afterAll(() => expect(left()).toEqual(before.filter((line) => !line.includes("/dev/kvm"))));

test("they run, are stopped, and run on; the second waits for its startup IPI meanwhile", async () => {
  await using machine = await Machine.make(adder, 2);
  const first = await machine.sums(3);
  expect(first).toEqual(Array.from(first, (_, i) => i + 1));
  expect(first.length).toBeGreaterThanOrEqual(3);
  const next = await machine.sums(2);
  // An access that was under way when it stopped is ended in the next run, or was not begun.
  expect(next[0]).toBe(first.length + 1);
});

test("saved, they go on in another machine", async () => {
  let states: VcpuState[] | undefined;
  let count: number;
  {
    await using machine = await Machine.make(adder, 2);
    count = (await machine.sums(5)).length;
    states = await machine.cpus!.save();
  }
  expect(states?.length).toBe(2);
  await using other = await Machine.make(adder, 2, JSON.parse(JSON.stringify(states)) as VcpuState[]);
  expect((await other.sums(1))[0]).toBe(count + 1);
});

test("a device in the vCPU's own thread is asked there; a write that is posted comes in order, and none is left in the end", async () => {
  const asked = new Int32Array(new SharedArrayBuffer(4));
  await using machine = await Machine.make(adder, 2, undefined, {
    posted: [{ kind: "io", base: 0x31, size: 1 }],
    local: { module: new URL("./support/local-device.ts", import.meta.url).href, data: asked.buffer },
  });
  const sums: number[] = [];
  const heard: number[] = [];
  using _in = machine.bus.insert("io", 0x30, 1, "nobody", { ioRead: (port) => void heard.push(port) });
  using _out = machine.bus.insert("io", 0x31, 1, "the sum", {
    ioWrite: (_port, [sum]) => {
      sums.push(sum!);
      if (sums.length === 1000) machine.cpus!.stop();
    },
  });
  expect(await machine.cpus!.run(machine.bus)).toBe("stopped");
  expect([sums, heard]).toEqual([sums.map((_, i) => (i + 1) % 256), []]);
  // Each question has had its sum, but for the one that was stopped between the two.
  expect(Atomics.load(asked, 0) - sums.length).toBeOneOf([0, 1]);
  const state = await machine.cpus!.save();
  expect(state?.length).toBe(2);
});

test("a module that makes no devices is said, and leaves no thread", async () => {
  const module = new URL("./support/marks.ts", import.meta.url).href;
  const failure = await failureOf(Machine.make(adder, 1, undefined, { local: { module } }));
  expect(failure).toMatchObject({ message: expect.stringContaining("must be a function") });
});

test("a triple fault of one ends all", async () => {
  await using machine = await Machine.make(tripleFault, 3);
  expect(await machine.cpus!.run(machine.bus)).toBe("shutdown");
});

test("what a handler throws comes out of run, and all have stopped; they can run again", async () => {
  await using machine = await Machine.make(adder, 2);
  {
    using _ = machine.bus.insert("io", 0x30, 1, "broken", {
      ioRead: () => {
        throw new Error("a broken device");
      },
    });
    const run = machine.cpus!.run(machine.bus);
    expect(await failureOf(machine.cpus!.run(machine.bus))).toMatchObject({ code: "EBUSY" });
    expect(await failureOf(machine.cpus!.save())).toMatchObject({ code: "EBUSY" });
    expect(await failureOf(run)).toMatchObject({ message: "a broken device" });
  }
  expect((await machine.sums(2)).length).toBeGreaterThanOrEqual(2);
});

test("an exit that nobody handles is a failure of run, whatever else fails", async () => {
  // Where no memory is, KVM has no instruction to run.
  const jump = [0x48, 0xc7, 0xc0, 0x00, 0x00, 0x00, 0x30, 0xff, 0xe0]; // mov rax, 0x30000000; jmp rax
  await using machine = await Machine.make(jump, 2);
  expect(await failureOf(machine.cpus!.run(machine.bus))).toMatchObject({
    code: "EVMEXIT",
    message: expect.stringContaining("KVM_EXIT_INTERNAL_ERROR"),
  });
});

test("disposed of while they run, they end", async () => {
  const machine = await Machine.make(adder, 2);
  const run = machine.cpus!.run(machine.bus);
  await machine[Symbol.asyncDispose]();
  expect(await run).toBe("stopped");
  await machine[Symbol.asyncDispose]();
});

test("a state that KVM does not take is an error of one, and none is left", async () => {
  await using machine = await Machine.make(adder, 1);
  const [state] = (await machine.cpus!.save())!;
  const broken = { ...state!, parts: { ...state!.parts, regs: "" } };
  expect(await failureOf(Machine.make(adder, 2, [state!, broken]))).toMatchObject({
    code: "EBADSTATE",
    message: expect.stringContaining("0 bytes of regs"),
  });
});
