// machines: kvm [kvm-new]
// takes: 30 s
// Devices of the host in a guest of KVM, which drives them by itself: what it does to a BAR and what they raise needs nobody.
import { afterAll, describe, expect, test } from "bun:test";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { traceSyscalls } from "../../../src/ffi/trace.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import { runLoop } from "../../../src/kvm/run-loop.ts";
import { VcpuControl } from "../../../src/kvm/vcpu-control.ts";
import { kvmVmRequest } from "../../../src/regs/ioctl/index.ts";
import { ways } from "./support/apis.ts";
import { code, code32, configWrite, enableLocalApic, routeIoapicPin } from "./support/code.ts";
import { deviceMappings, ownDescriptors } from "./support/devices.ts";
import { Guest } from "./support/guest.ts";
import { intxPin, PassedDevice, slot } from "./support/passed.ts";

// Starting a program leaves an eventfd of Bun's own.
Bun.spawnSync(["dmesg", "-c"]);
const before = { fds: ownDescriptors(), maps: deviceMappings() };
const kvm = new Kvm();
afterAll(() => {
  kvm[Symbol.dispose]();
  expect(ownDescriptors()).toEqual(before.fds);
  expect(deviceMappings()).toEqual(before.maps);
});

/** Where the guest puts BAR 0, and its counter of interrupts. */
const bar = 0xd800_0000;
const counter = 0x5000;
const vector = 0x41;
const rounds = 200;
const reportPort = 0x30;
const donePort = 0x31;

/** edu's registers (QEMU docs/specs/edu.rst). */
const edu = {
  ...{ id: bar, liveness: bar + 4, raise: bar + 0x60, acknowledge: bar + 0x64 },
  ...{ source: bar + 0x80, target: bar + 0x88, count: bar + 0x90, command: bar + 0x98 },
} as const;
const eduBuffer = 0x40000;
const dma = { start: 1, toMemory: 2 } as const;
type Handlers = Readonly<Record<number, readonly number[]>>;
const handlers: Handlers = {
  [vector]: code32.handler([...code32.store(edu.acknowledge, 1), ...code32.increase(counter)]),
};
/** BAR 0 placed, memory decoding and bus mastering on. */
const start = [...configWrite(slot, 0x10, bar), ...configWrite(slot, 0x04, 6)];
const done = [0xe7, donePort];
// xor esi, esi; and so many times: has edu raise an interrupt, inc esi, and halts until the counter says esi.
const waitForNext = [
  0x46,
  0x39,
  0x35,
  0x00,
  0x50,
  0x00,
  0x00,
  0x74,
  0x05,
  ...[...code.sti, ...code.hlt, ...code.cli],
  0xeb,
  0xf3,
];
const repeatedly = [0x31, 0xf6, ...code32.repeat(rounds, [...code32.store(edu.raise, 1), ...waitForNext])];

/** A guest of its own for each program, which ends with `done`. */
class Program extends Guest {
  readonly reports: number[] = [];
  /** Accesses to ports and to memory that left the guest, without those that only the tests know. */
  readonly exits = { io: 0, mmio: 0 };

  constructor(program: readonly number[], own = handlers) {
    super(kvm, "protected", program, { handlers: own, control: new VcpuControl() });
  }

  run({ bus }: PassedDevice): this {
    const { vcpu, exits, reports } = this;
    const end = runLoop(vcpu, {
      ioRead: (port, data) => (exits.io++, bus.ioRead(port, data)),
      ioWrite: (port, data) => {
        if (port === donePort) vcpu.control!.stop();
        else if (port === reportPort) reports.push(new DataView(data.buffer).getUint32(0, true));
        else {
          exits.io++;
          bus.ioWrite(port, data);
        }
      },
      mmioRead: (address, data) => (exits.mmio++, bus.mmioRead(address, data)),
      mmioWrite: (address, data) => (exits.mmio++, bus.mmioWrite(address, data)),
    });
    expect(end).toBe("stopped");
    return this;
  }
}

/** Whether the IOMMU has refused something since the kernel's messages were cleared; it may say so a moment later. */
function hasFaulted(): boolean {
  for (let i = 0; i < 100; i++) {
    if (/DMAR: .*fault/.test(Bun.spawnSync(["dmesg"]).stdout.toString())) return true;
    Bun.sleepSync(20);
  }
  return false;
}

for (const way of ways)
  describe(way.name, () => {
    test("edu: its registers are the guest's own, no access leaves", () => {
      const program = [
        ...start,
        ...[...code32.load(edu.id), ...code32.report(reportPort)],
        ...[...code32.store(edu.liveness, 0x12345678), ...code32.load(edu.liveness)],
        ...[...code32.report(reportPort), ...done],
      ];
      using guest = new Program(program);
      using passed = new PassedDevice(guest, "edu", way);
      const { reports, exits } = guest.run(passed);
      expect([reports, exits]).toEqual([[0x010000ed, 0xedcba987], { io: 4, mmio: 0 }]);
      expect(passed.events).toEqual([]);
    });

    test(`edu: ${rounds} MSIs, each to the guest's handler, with no exit and no request an interrupt`, () => {
      const program = (msi: number): number[] => [
        ...[...start, ...enableLocalApic],
        ...configWrite(slot, msi + 4, 0xfee0_0000),
        ...configWrite(slot, msi + 8, 0),
        ...configWrite(slot, msi + 12, vector),
        ...configWrite(slot, msi, 0x0001_0000),
        ...repeatedly,
        ...[...code32.load(counter), ...code32.report(reportPort), ...done],
      ];
      using guest = new Program([]);
      using passed = new PassedDevice(guest, "edu", way);
      guest.memory.write(0x1000, new Uint8Array(program(passed.capability(5))));
      const { reports, exits } = guest.run(passed);
      expect([reports, exits, passed.events]).toEqual([[rounds], { io: 12, mmio: 0 }, []]);
      // At attach MSI, on and off, to see whether the host has it, and INTx with its resample eventfd; that off; MSI on.
      expect(passed.counted.counts.setIrqs).toBe(6);
    });

    test(`edu: ${rounds} times INTx, level-triggered, with its BAR mapped; none lost, none stuck`, () => {
      const program = [
        ...[...start, ...enableLocalApic, ...routeIoapicPin(intxPin, vector)],
        ...repeatedly,
        ...[...code32.load(counter), ...code32.report(reportPort), ...done],
      ];
      using guest = new Program(program);
      using passed = new PassedDevice(guest, "edu", way);
      const requests = passed.counted.counts.setIrqs;
      const { reports, exits } = guest.run(passed);
      expect([reports, exits, passed.events]).toEqual([[rounds], { io: 4, mmio: 0 }, []]);
      expect(passed.counted.counts.setIrqs).toBe(requests);
    });

    test("edu: DMA both ways in the guest's memory, and not outside of it", () => {
      const transfer = (source: number, target: number, command: number): number[] => [
        ...code32.store(edu.source, source),
        ...code32.store(edu.target, target),
        ...code32.store(edu.count, 64),
        ...code32.store(edu.command, dma.start | command),
        ...code32.pollClear(edu.command, dma.start),
      ];
      const outside = 0x400_0000;
      const program = [
        ...start,
        ...transfer(0x3000, eduBuffer, 0),
        ...transfer(eduBuffer, 0x4000, dma.toMemory),
        ...transfer(eduBuffer, outside, dma.toMemory),
        ...done,
      ];
      using guest = new Program(program);
      using passed = new PassedDevice(guest, "edu", way);
      const text = new TextEncoder().encode("the guest's own bytes, moved by the device".padEnd(64));
      guest.memory.write(0x3000, text);
      Bun.spawnSync(["dmesg", "-c"]);
      expect(guest.run(passed).exits.mmio).toBe(0);
      const moved = new Uint8Array(64);
      guest.memory.read(0x4000, moved);
      expect(moved).toEqual(text);
      expect(hasFaulted()).toBe(true);
    });
  });

/** Gives nvme's BAR 0 its place, and turns memory decoding and bus mastering on. @returns where the MSI-X table is */
function placeNvme({ device }: PassedDevice): number {
  device.configWrite(0x10, 4, bar);
  device.configWrite(0x14, 4, 0);
  device.configWrite(4, 2, 6);
  return bar + device.describe().msix!.guest.table.offset;
}

function writeVector(
  { device }: PassedDevice,
  table: number,
  entry: number,
  data: number,
  masked: boolean,
): void {
  const at = table + 16 * entry;
  for (const [i, value] of [0xfee0_0000, 0, data, masked ? 1 : 0].entries())
    device.mmioWrite(at + 4 * i, new Uint8Array(Uint32Array.of(value).buffer));
}

test("nvme: one write that unmasks 65 vectors is one routing table; masking them is none", () => {
  using guest = new Program([]);
  using passed = new PassedDevice(guest, "nvme", ways[0]!);
  const { device } = passed;
  const table = placeNvme(passed);
  const control = passed.capability(0x11) + 2;
  device.configWrite(control, 2, 0xc000); // enabled, all masked
  for (let entry = 0; entry < 65; entry++) writeVector(passed, table, entry, vector, false);
  const requests = (write: () => void): { tables: number; irqfds: number } => {
    const seen = { tables: 0, irqfds: 0 };
    using _ = traceSyscalls(({ args }) => {
      if (args[1] === kvmVmRequest.SET_GSI_ROUTING) seen.tables++;
      if (args[1] === kvmVmRequest.IRQFD) seen.irqfds++;
    });
    write();
    return seen;
  };
  expect(requests(() => device.configWrite(control, 2, 0x8000))).toEqual({ tables: 1, irqfds: 65 });
  expect(guest.machine.interrupts.routes).toBe(65);
  expect(requests(() => device.configWrite(control, 2, 0xc000))).toEqual({ tables: 0, irqfds: 65 });
  expect(requests(() => device.configWrite(control, 2, 0x8000))).toEqual({ tables: 0, irqfds: 65 });
  expect(passed.events).toEqual([]);
});

test("nvme: MSI-X vectors are masked and unmasked on the host; what came meanwhile arrives", () => {
  // Interrupts on; reports its counters of two vectors whenever it is asked to by `in`.
  const second = vector + 1;
  const counters = [counter, counter + 4];
  const own = Object.fromEntries(counters.map((at, i) => [vector + i, code32.handler(code32.increase(at))]));
  // in al, 0x30; sti; nop; cli; mov eax, [counter]; out; mov eax, [counter + 4]; out; jmp back
  const body = [
    0xe4,
    0x30,
    ...code.sti,
    0x90,
    ...code.cli,
    ...counters.flatMap((at) => [...code32.load(at), ...code32.report(reportPort)]),
  ];
  const loop = [...body, 0xeb, 0x100 - body.length - 2];
  using guest = new Program([...enableLocalApic, ...loop], own);
  using passed = new PassedDevice(guest, "nvme", ways[0]!);
  const { device, kernel } = passed;
  const table = placeNvme(passed);
  const setVector = (entry: number, data: number, masked: boolean): void =>
    writeVector(passed, table, entry, data, masked);
  setVector(0, vector, false);
  setVector(5, second, false);
  device.configWrite(passed.capability(0x11) + 2, 2, 0x8000);
  const raise = (entry: number): void =>
    kernel.setIrqs({
      index: IrqIndex.msix,
      action: "trigger",
      start: entry,
      data: { kind: "bool", values: [true] },
    });
  const counts = (): number[] => {
    expect(guest.runToPort()).toBe(0x30);
    return [guest.runToReport(reportPort), guest.runToReport(reportPort)];
  };
  expect(counts()).toEqual([0, 0]);
  raise(0);
  raise(5);
  expect(counts()).toEqual([1, 1]);
  setVector(5, second, true);
  raise(5);
  raise(0);
  expect(counts()).toEqual([2, 1]);
  setVector(5, second, false);
  // What waits in an eventfd when an irqfd is attached to it, KVM injects from a work queue (virt/kvm/eventfd.c): soon.
  for (let i = 0; i < 5000 && counts()[1] === 1; i++) Bun.sleepSync(1);
  expect(counts()).toEqual([2, 2]);
  // Another message for a routed vector.
  setVector(5, vector, false);
  raise(5);
  expect(counts()).toEqual([3, 2]);
  device.reset();
  expect(guest.machine.interrupts.routes).toBe(0);
});
