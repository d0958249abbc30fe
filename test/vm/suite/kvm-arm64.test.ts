// machines: (arm-kvm)
// takes: 60 s
// A device of the host in a guest of KVM on aarch64: registers by memory slots, MSI through the ITS, DMA.
import { afterAll, describe, expect, test } from "bun:test";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { RangeAllocator } from "../../../src/device/platforms/range-allocator.ts";
import { getCoreRegister, setCoreRegister } from "../../../src/kvm/arm64/registers.ts";
import { GuestMemory } from "../../../src/kvm/guest-memory.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import { VirtualMachine } from "../../../src/kvm/machine.ts";
import { KvmPlatform } from "../../../src/kvm/platform.ts";
import { runLoop } from "../../../src/kvm/run-loop.ts";
import { TrapBus } from "../../../src/kvm/trap-bus.ts";
import { Vcpu } from "../../../src/kvm/vcpu.ts";
import { open, ways, type Way } from "./support/apis.ts";
import { bytesOfWords, stepper, tableOf, vectorTable, type Step } from "./support/code-arm64.ts";
import { deviceMappings, ownDescriptors, take } from "./support/devices.ts";
import { quieten } from "./support/edu.ts";

const before = { fds: ownDescriptors(), maps: deviceMappings() };
const kvm = new Kvm();
afterAll(() => {
  kvm[Symbol.dispose]();
  expect(ownDescriptors()).toEqual(before.fds);
  expect(deviceMappings()).toEqual(before.maps);
});

/** Memory, below what edu's 28 address lines reach. */
const ram = { gpa: 0, size: 0x10_0000 };
const at = {
  ...{
    code: 0x1000,
    vectors: 0x2000,
    table: 0x3000,
    counter: 0x1_0000,
    pending: 0x4_0000,
    properties: 0x5_0000,
  },
  ...{
    commands: 0x6_0000,
    deviceTable: 0x7_0000,
    collections: 0x8_0000,
    translations: 0x9_0000,
    data: 0xa_0000,
  },
} as const;
const gic = { distributor: 0x800_0000, its: 0x808_0000, redistributors: 0x80a_0000 };
/** Where the guest writes a word that the test is to see, and where config space is. */
const report = 0x900_0000;
const config = 0x910_0000;
const bar = 0x1000_0000;
const requesterId = 1 << 3;
const lpi = 8192;
const rounds = 50;

/** Turns on the interrupt controller and its ITS, and has event 0 of the device be the first LPI. */
const startGic: readonly Step[] = [
  ["write32", gic.distributor, 0x12],
  ["write64", gic.redistributors + 0x70, BigInt(at.properties) | 13n],
  ["write64", gic.redistributors + 0x78, BigInt(at.pending) | (1n << 62n)],
  ["write32", gic.redistributors, 1],
  ["write64", gic.its + 0x100, BigInt(at.deviceTable) | (1n << 63n)],
  ["write64", gic.its + 0x108, BigInt(at.collections) | (1n << 63n)],
  ["write64", gic.its + 0x80, BigInt(at.commands) | (1n << 63n)],
  ["write32", gic.its, 1],
  ["write64", gic.its + 0x88, 3 * 32],
];
/** Commands of the ITS (GICv3 architecture, 5.3): MAPD, MAPC, MAPTI. */
const commands = BigUint64Array.from([
  ...[0x08n | (BigInt(requesterId) << 32n), 4n, BigInt(at.translations) | (1n << 63n), 0n],
  ...[0x09n, 0n, 1n << 63n, 0n],
  ...[0x0an | (BigInt(requesterId) << 32n), BigInt(lpi) << 32n, 0n, 0n],
]);
const edu = {
  identification: 0,
  liveness: 4,
  raise: 0x60,
  acknowledge: 0x64,
  source: 0x80,
  target: 0x88,
  count: 0x90,
  command: 0x98,
};
const eduBuffer = 0x4_0000;

class Machine implements Disposable {
  readonly reports: number[] = [];
  exits = 0;
  readonly machine: VirtualMachine;
  readonly memory: GuestMemory;
  readonly device: VfioPciDevice;
  readonly #vcpu: Vcpu;
  readonly #bus = new TrapBus();
  readonly #owned: DisposableStack;

  constructor(way: Way) {
    using owned = new DisposableStack();
    this.machine = owned.use(new VirtualMachine(kvm, { gic }));
    this.memory = owned.use(new GuestMemory(this.machine.slots, { places: [ram] }));
    this.#vcpu = owned.use(new Vcpu({ vm: this.machine.fd, id: 0, runSize: kvm.runSize }));
    this.machine.gic!.start();
    const kernel = open(take("edu"), way);
    quieten(kernel);
    const bus = this.#bus.forDevice("edu");
    const platform = new KvmPlatform(this.machine, {
      addresses: {
        mmio32: new RangeAllocator(bar, 0x1000_0000),
        mmio64: new RangeAllocator(2 ** 36, 2 ** 34),
        io: new RangeAllocator(0x1000, 0xe000),
      },
      bus,
    });
    owned.use(this.machine.vfio.add(kernel.fd));
    this.device = owned.use(VfioPciDevice.attach(kernel, platform, { requesterId }));
    bus.device = this.device;
    this.memory.mapFor(kernel.dma!);
    this.#bus.insert("mmio", config, 0x1000, "config space", {
      mmioRead: (address, data) =>
        data.set(wordOf(this.device.configRead(address - config, data.length)).subarray(0, data.length)),
      mmioWrite: (address, data) =>
        this.device.configWrite(
          address - config,
          data.length,
          Number(new DataView(data.slice().buffer).getUint32(0, true)),
        ),
    });
    this.#bus.insert("mmio", report, 4, "report", {
      mmioWrite: (_, data) => void this.reports.push(new DataView(data.slice().buffer).getUint32(0, true)),
    });
    this.#owned = owned.move();
  }

  /** The offset of a capability. */
  capability(id: number): number {
    let offset = this.device.configRead(0x34, 1);
    for (let n = 0; offset !== 0 && n < 48 && this.device.configRead(offset, 1) !== id; n++)
      offset = this.device.configRead(offset + 1, 1);
    return offset;
  }

  /** Has the guest do these steps from the beginning to its end. */
  run(steps: readonly Step[]): void {
    this.memory.write(at.code, bytesOfWords(stepper(at.table, at.vectors)));
    this.memory.write(at.vectors, bytesOfWords(vectorTable(at.counter, bar + edu.acknowledge, 0x101)));
    this.memory.write(at.table, tableOf(steps));
    this.memory.write(at.commands, new Uint8Array(commands.buffer));
    // Priority 0xa0, enabled.
    this.memory.write(at.properties, new Uint8Array(64).fill(0xa1));
    setCoreRegister(this.#vcpu.fd, "pc", BigInt(at.code));
    const count = (): void => void this.exits++;
    const bus = this.#bus;
    const end = runLoop(this.#vcpu, {
      ioRead: () => {},
      ioWrite: () => {},
      mmioRead: (address, data) => (count(), bus.mmioRead(address, data)),
      mmioWrite: (address, data) => (count(), bus.mmioWrite(address, data)),
    });
    expect(end).toBe("power-off");
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}
const wordOf = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

const place: readonly Step[] = [
  ["write32", config + 0x10, bar],
  ["write32", config + 4, 6],
];
const enableMsi = (capability: number, doorbell: number): Step[] => [
  ["write32", config + capability + 4, doorbell],
  ["write32", config + capability + 8, 0],
  ["write32", config + capability + 12, 0],
  ["write32", config + capability, 0x0001_0000],
];

test("a vCPU has the registers that it is given", () => {
  using machine = new VirtualMachine(kvm, { gic });
  using vcpu = new Vcpu({ vm: machine.fd, id: 0, runSize: kvm.runSize });
  setCoreRegister(vcpu.fd, "x30", 0x1234_5678_9abc_def0n);
  setCoreRegister(vcpu.fd, "pc", 0x8000n);
  expect([getCoreRegister(vcpu.fd, "x30"), getCoreRegister(vcpu.fd, "pc")]).toEqual([
    0x1234_5678_9abc_def0n,
    0x8000n,
  ]);
  expect(() => getCoreRegister(vcpu.fd, "x31")).toThrow(RangeError);
});

test("a machine without a GIC, and one with a PC's chips, are refused", () => {
  expect(() => new VirtualMachine(kvm)).toThrow(RangeError);
  expect(() => new VirtualMachine(kvm, { gic, pit: true })).toThrow(RangeError);
  expect(() => new VirtualMachine(kvm, { gic: { ...gic, lines: 33 } })).toThrow(RangeError);
});

describe.each(ways)("$name", (way) => {
  test("edu: its registers are the guest's own, no access leaves", () => {
    using guest = new Machine(way);
    guest.run([
      ...place,
      ["copy32", bar + edu.identification, report],
      ["write32", bar + edu.liveness, 0x1234_5678],
      ["copy32", bar + edu.liveness, report],
    ]);
    // Two writes of config space, two reports.
    expect([guest.reports, guest.exits]).toEqual([[0x010000ed, 0xedcba987], 4]);
  });

  test(`edu: ${rounds} MSIs through the ITS, each to the guest's handler, with no exit an interrupt`, () => {
    using guest = new Machine(way);
    const msi = enableMsi(guest.capability(5), guest.machine.gic!.doorbell);
    const each = Array.from({ length: rounds }, (_, n): Step[] => [
      ["write32", bar + edu.raise, 1],
      ["until", at.counter, n + 1],
    ]);
    guest.run([
      ...startGic,
      ...place,
      ...msi,
      ...each.flat(),
      ["copy32", at.counter, report],
      ["copy32", at.counter + 4, report],
    ]);
    expect([guest.reports, guest.exits]).toEqual([[rounds, lpi], 2 + 4 + 2]);
  });

  test("edu: DMA from the guest's memory to the device and back, each end told by an MSI", () => {
    using guest = new Machine(way);
    const msi = enableMsi(guest.capability(5), guest.machine.gic!.doorbell);
    const bytes = Uint8Array.from({ length: 4096 }, (_, i) => (i * 7 + 3) & 0xff);
    guest.memory.write(at.data, bytes);
    const move = (source: number, target: number, command: number, events: number): Step[] => [
      ["write64", bar + edu.source, source],
      ["write64", bar + edu.target, target],
      ["write64", bar + edu.count, 4096],
      ["write64", bar + edu.command, command],
      ["until", at.counter, events],
    ];
    guest.run([
      ...[...startGic, ...place, ...msi],
      ...move(at.data, eduBuffer, 1 | 4, 1),
      ...move(eduBuffer, at.data + 0x2000, 1 | 2 | 4, 2),
    ]);
    const back = new Uint8Array(4096);
    guest.memory.read(at.data + 0x2000, back);
    expect(back).toEqual(bytes);
    expect(guest.exits).toBe(2 + 4);
  });
});
