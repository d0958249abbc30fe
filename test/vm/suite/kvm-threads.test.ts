// machines: (kvm)
// vCPUs in threads of their own: a kick ends KVM_RUN wherever it is, none is lost, and nothing is left.
import { afterAll, expect, test } from "bun:test";
import { threadsReport } from "../../../bench/kvm-threads.ts";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import { VirtualMachine } from "../../../src/kvm/machine.ts";
import { VcpuControl } from "../../../src/kvm/vcpu-control.ts";
import { code } from "./support/code.ts";
import { Guest } from "./support/guest.ts";
import type { VcpuRequest } from "./support/vcpu-thread.ts";

const kvm = new Kvm();
afterAll(() => kvm[Symbol.dispose]());

class Thread implements Disposable {
  readonly control = new VcpuControl();
  readonly counts = new Int32Array(new SharedArrayBuffer(12));
  readonly machine: VirtualMachine;
  readonly #memory = new AnonymousMemory(0x80000);
  readonly #worker = new Worker(new URL("./support/vcpu-thread.ts", import.meta.url).href);
  readonly ended: Promise<{ end: string; rip: bigint }>;

  constructor(program: readonly number[]) {
    this.machine = new VirtualMachine(kvm);
    this.machine.slots.add({ gpa: 0, size: 0x80000, hva: this.#memory.address, readOnly: false });
    this.#memory.write(0x1000, new Uint8Array(program));
    this.ended = new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = ({ message }) => reject(new Error(message));
    });
    const { runSize } = kvm;
    const request: VcpuRequest = {
      ...{ vm: this.machine.fd, id: 0, runSize },
      ...{ control: this.control.buffer, counters: this.counts.buffer },
    };
    this.#worker.postMessage(request);
  }

  /** Waits until a counter is at least so much. */
  async reach(counter: number, value: number): Promise<void> {
    for (;;) {
      const now = Atomics.load(this.counts, counter);
      if (now >= value) return;
      const wait = Atomics.waitAsync(this.counts, counter, now, 10);
      await wait.value;
    }
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
    this.machine[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}

const spin = [0xeb, 0xfe];

for (const [name, program] of [
  ["that never exits", spin],
  ["that is halted", [...code.hlt, 0xeb, 0xfd]],
  ["that does nothing but exit", [0xe6, 0x60, 0xeb, 0xfc]],
] as const)
  test(`a guest ${name} is kicked a hundred times, and stopped`, async () => {
    using thread = new Thread(program);
    await thread.reach(2, 1);
    for (let i = 1; i <= 100; i++) {
      thread.control.kick();
      await thread.reach(0, i);
    }
    thread.control.stop();
    expect((await thread.ended).end).toBe("stopped");
    expect(Atomics.load(thread.counts, 0)).toBe(100);
    // Its thread has let go of it: a kick goes nowhere, and harms nobody.
    thread.control.kick();
  });

test("a stop that comes before the vCPU is there ends it before its first instruction", async () => {
  using thread = new Thread(spin);
  thread.control.stop();
  expect(await thread.ended).toEqual({ end: "stopped", rip: 0x1000n });
});

test("on the calling thread: a kick ends the next run at once, and only that", () => {
  const control = new VcpuControl();
  using guest = new Guest(kvm, "real", [0xe6, 0x30, 0xe6, 0x31], { control });
  expect(guest.runToPort()).toBe(0x30);
  control.kick();
  control.kick();
  expect(guest.vcpu.run()).toBe(false);
  expect(guest.runToPort()).toBe(0x31);
});

test("a kick while its thread is in the event loop harms nobody, and ends the next run", async () => {
  const control = new VcpuControl();
  using guest = new Guest(kvm, "real", spin, { control });
  // The last run of this thread has left nothing that the event loop could be ended by.
  for (let i = 0; i < 3; i++) {
    const source = `
      const { VcpuControl } = require(${JSON.stringify(require.resolve("../../../src/kvm/vcpu-control.ts"))});
      self.onmessage = ({ data }) => { new VcpuControl(data).kick(); postMessage("done"); };
    `;
    const url = URL.createObjectURL(new Blob([source]));
    const worker = new Worker(url);
    await new Promise((resolve) => {
      worker.onmessage = resolve;
      worker.postMessage(control.buffer);
    });
    await Bun.sleep(5);
    expect(guest.vcpu.run()).toBe(false);
    worker.terminate();
    URL.revokeObjectURL(url);
  }
});

test("a run that garbage collections interrupt goes on", () => {
  const control = new VcpuControl();
  // dec cx; jnz back; out 0x30, al: a while without exits
  using guest = new Guest(kvm, "real", [0xb9, 0xff, 0xff, 0x49, 0x75, 0xfd, 0xe6, 0x30, 0xeb, 0xf6], {
    control,
  });
  for (let i = 0; i < 20; i++) {
    Bun.gc(false);
    expect(guest.runToPort()).toBe(0x30);
  }
});

test("what the benchmark prints", async () => {
  const lines: string[] = [];
  for await (const line of threadsReport(kvm, 300, 21)) lines.push(line);
  console.log(lines.join("\n"));
  for (const line of lines.slice(0, 6)) expect(line).toMatch(/^\w+ +[1-9]\d* exits\/s, \d+\.\d\dx the time$/);
  for (const line of lines.slice(6)) expect(line).toMatch(/: \d+(\.\d)? (us|ms late)$/);
  expect(lines.length).toBe(10);
}, 60_000);
