// What a run loop makes of `struct kvm_run`, with a page that a test fills as the kernel would.
import { describe, expect, test } from "bun:test";
import { AnonymousMemory } from "../../src/ffi/anonymous-memory.ts";
import { formatExit } from "../../src/kvm/exit-text.ts";
import { runLoop, type ExitHandlers, type RunnableVcpu } from "../../src/kvm/run-loop.ts";
import { RunPage } from "../../src/kvm/run-page.ts";
import { VcpuControl } from "../../src/kvm/vcpu-control.ts";
import { KvmRun, kvmExitReason, view } from "../../src/regs/ioctl/index.ts";
import { refusal } from "../support/refusal.ts";

type Fill = (run: InstanceType<typeof KvmRun>, bytes: Uint8Array) => void;

/** A vCPU whose exits are these, one a run; a kick where there is none. */
class ScriptedVcpu implements RunnableVcpu, Disposable {
  readonly id = 3;
  readonly control = new VcpuControl();
  readonly page: RunPage;
  readonly #memory = new AnonymousMemory(0x3000);
  readonly #exits: (Fill | undefined)[];
  /** The page as it was when the guest went on. */
  readonly resumed: Uint8Array[] = [];

  constructor(...exits: (Fill | undefined)[]) {
    this.#exits = exits;
    this.page = new RunPage(this.#memory);
  }
  run(): boolean {
    const bytes = this.#memory.view(0, 0x3000);
    this.resumed.push(bytes.slice());
    const fill = this.#exits.shift();
    fill?.(view(KvmRun, bytes), bytes);
    return fill !== undefined;
  }
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

const io =
  (port: number, size: number, count: number, isOut: boolean, data: readonly number[]): Fill =>
  (run, bytes) => {
    run.exit_reason = kvmExitReason.IO;
    Object.assign(run.io, { direction: isOut ? 1 : 0, size, port, count, data_offset: 0x1000n });
    bytes.set(data, 0x1000);
  };
const mmio =
  (address: bigint, data: readonly number[], isWrite: boolean): Fill =>
  (run) => {
    run.exit_reason = kvmExitReason.MMIO;
    Object.assign(run.mmio, { phys_addr: address, len: data.length, is_write: isWrite ? 1 : 0 });
    data.forEach((byte, i) => (run.mmio.data[i] = byte));
  };
const other =
  (reason: number, fill: Fill = () => {}): Fill =>
  (run, bytes) => {
    run.exit_reason = reason;
    fill(run, bytes);
  };
const shutdown = other(kvmExitReason.SHUTDOWN);

const ignore: ExitHandlers = { ioRead() {}, ioWrite() {}, mmioRead() {}, mmioWrite() {} };

describe("accesses", () => {
  test("memory: addresses above 4 GiB, widths, and what the guest gets", () => {
    const seen: unknown[] = [];
    using vcpu = new ScriptedVcpu(
      mmio(0x12_3456_7890n, [1, 2, 3, 4, 5, 6, 7, 8], true),
      mmio(0xfee0_0010n, [0, 0, 0], false),
      shutdown,
    );
    const end = runLoop(vcpu, {
      ...ignore,
      mmioWrite: (address, data) => seen.push([address, [...data]]),
      mmioRead: (address, data) => {
        seen.push(address);
        data.set([7, 8, 9]);
      },
    });
    expect([end, seen]).toEqual(["shutdown", [[0x12_3456_7890, [1, 2, 3, 4, 5, 6, 7, 8]], 0xfee0_0010]]);
    const given = view(KvmRun, vcpu.resumed[2]!);
    expect([...given.mmio.data].slice(0, 4)).toEqual([7, 8, 9, 4]);
  });

  test("ports: each access of a string instruction, in order", () => {
    const seen: unknown[] = [];
    let next = 0;
    using vcpu = new ScriptedVcpu(
      io(0x3f8, 1, 3, true, [0x61, 0x62, 0x63]),
      io(0x1f0, 2, 2, false, []),
      shutdown,
    );
    runLoop(vcpu, {
      ...ignore,
      ioWrite: (port, data) => seen.push([port, ...data]),
      ioRead: (_port, data) => data.fill(++next),
    });
    expect(seen).toEqual([
      [0x3f8, 0x61],
      [0x3f8, 0x62],
      [0x3f8, 0x63],
    ]);
    expect([...vcpu.resumed[2]!.subarray(0x1000, 0x1005)]).toEqual([1, 1, 2, 2, 0]);
  });

  test("data that lies behind the page is refused, not read", () => {
    using vcpu = new ScriptedVcpu((run, bytes) => {
      io(0x3f8, 4, 1, true, [])(run, bytes);
      run.io.data_offset = 0x2ffdn;
    });
    expect(() => runLoop(vcpu, ignore)).toThrow(RangeError);
  });
});

describe("the end", () => {
  test("of a kick, when the control says so; else whoever wants to is told", () => {
    using vcpu = new ScriptedVcpu(undefined, undefined, undefined);
    let kicks = 0;
    const end = runLoop(vcpu, {
      ...ignore,
      kicked: () => {
        if (++kicks === 2) vcpu.control.stop();
      },
    });
    expect([end, kicks]).toEqual(["stopped", 2]);
  });

  test.each([
    ["halted", other(kvmExitReason.HLT)],
    ["power-off", other(kvmExitReason.SYSTEM_EVENT, (run) => void (run.system_event.type = 1))],
    ["reset", other(kvmExitReason.SYSTEM_EVENT, (run) => void (run.system_event.type = 2))],
    ["crash", other(kvmExitReason.SYSTEM_EVENT, (run) => void (run.system_event.type = 3))],
  ] as const)("%s", (end, exit) => {
    using vcpu = new ScriptedVcpu(other(kvmExitReason.INTR), exit);
    expect(runLoop(vcpu, ignore)).toBe(end);
  });

  test("of interrupts with split chips, and exits of the VMM's own, is for their handlers", () => {
    const seen: number[] = [];
    const eoi = other(kvmExitReason.IOAPIC_EOI, (run) => void (run.eoi.vector = 0x41));
    using vcpu = new ScriptedVcpu(eoi, other(kvmExitReason.HYPERCALL), eoi, shutdown);
    const handlers = {
      ...ignore,
      endOfInterrupt: (vector: number) => void seen.push(vector),
      other: (reason: number) => reason === kvmExitReason.HYPERCALL,
    };
    expect(runLoop(vcpu, handlers)).toBe("shutdown");
    expect(seen).toEqual([0x41, 0x41]);
  });

  test("by an exit that nobody handles: the error shows it", () => {
    const failures: [Fill, string][] = [
      [other(kvmExitReason.HYPERCALL), "KVM_EXIT_HYPERCALL"],
      [other(99), "KVM_EXIT_99"],
      [
        other(kvmExitReason.FAIL_ENTRY, (run) =>
          Object.assign(run.fail_entry, { hardware_entry_failure_reason: 0x8000_0021n, cpu: 1 }),
        ),
        "KVM_EXIT_FAIL_ENTRY 0x80000021 on CPU 1",
      ],
      [
        other(kvmExitReason.INTERNAL_ERROR, (run) => {
          Object.assign(run.emulation_failure, { suberror: 1, ndata: 4, flags: 1n, insn_size: 2 });
          run.emulation_failure.insn_bytes[0] = 0x0f;
          run.emulation_failure.insn_bytes[1] = 0x77;
        }),
        "KVM_EXIT_INTERNAL_ERROR EMULATION 0f77",
      ],
      [
        other(kvmExitReason.INTERNAL_ERROR, (run) => {
          Object.assign(run.internal, { suberror: 3, ndata: 2 });
          run.internal.data[0] = 5n;
          run.internal.data[1] = 0x1_0000_0000n;
        }),
        "KVM_EXIT_INTERNAL_ERROR DELIVERY_EV 0x5 0x100000000",
      ],
    ];
    for (const [exit, text] of failures) {
      using vcpu = new ScriptedVcpu(exit);
      const error = refusal(() => runLoop(vcpu, ignore));
      expect([error.code, error.message]).toEqual(["EVMEXIT", `vCPU 3: ${text}`]);
    }
  });
});

test("exits for messages", () => {
  const texts: [Fill, string][] = [
    [mmio(0xfeb0_0000n, [0, 0, 0, 0], true), "KVM_EXIT_MMIO write of 4 at 0xfeb00000"],
    [io(0xcfc, 2, 1, false, []), "KVM_EXIT_IO read of 2 at port 0xcfc"],
    [
      other(kvmExitReason.IOAPIC_EOI, (run) => void (run.eoi.vector = 65)),
      "KVM_EXIT_IOAPIC_EOI of vector 65",
    ],
    [
      other(kvmExitReason.SYSTEM_EVENT, (run) => void (run.system_event.type = 2)),
      "KVM_EXIT_SYSTEM_EVENT RESET",
    ],
  ];
  for (const [exit, text] of texts) {
    using vcpu = new ScriptedVcpu(exit);
    vcpu.run();
    expect(formatExit(vcpu.page)).toBe(text);
  }
});

test("a kick without a vCPU is kept for it; several are one; stopping is taken back", () => {
  const control = new VcpuControl();
  control.kick();
  control.kick();
  const there = new VcpuControl(control.buffer);
  expect([there.takeKick(), there.takeKick(), there.stopping]).toEqual([true, false, false]);
  control.stop();
  expect([there.stopping, there.takeKick()]).toEqual([true, true]);
  there.resume();
  expect(control.stopping).toBe(false);
  there.detach();
});
