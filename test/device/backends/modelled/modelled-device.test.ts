import { describe, expect, test } from "bun:test";
import { Eventfd } from "../../../../src/ffi/eventfd.ts";
import { modelCapability } from "../../../../src/device/backends/modelled/capabilities.ts";
import { LocalEnvironment, LocalMemory } from "../../../../src/device/backends/modelled/local-environment.ts";
import {
  modelledDevice,
  type ModelledDevice,
} from "../../../../src/device/backends/modelled/modelled-device.ts";
import { VfioPciDevice } from "../../../../src/device/passthrough/vfio-pci-device.ts";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import {
  alias,
  array,
  capabilityId,
  decodeConfig,
  expressCapability,
  powerManagementCapability,
  r16,
  r32,
  r64,
  r8,
  rc,
  registerMap,
  reset,
  ro,
  rw,
  rw1c,
  rws,
  rwsc,
} from "../../../../src/regs/index.ts";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import { bytesOf, memory as memoryBit, mmioRead, writeVector } from "../../../support/attached.ts";

const map = registerMap("timer", 0x80, {
  identity: reset(0x1234_0001, r32(0x00, "ro")),
  control: r32(0x04, { enable: rw(0), start: rwsc(1), mode: rws(3, 2, ["one", "two", "three", "four"]) }),
  status: r32(0x08, { done: rw1c(0), busy: ro(1), seen: rc(2) }),
  /** Written here, read there. */
  scratch: r32(0x0c, "rw"),
  receive: r8(0x10, "ro"),
  transmit: alias("receive", r8(0x10, "wo")),
  address: r64(0x18, "rw"),
  doorbell: array(4, 8, r32(0x20, "wo")),
  queue: array(2, 16, { head: r16(0x50, "ro"), tail: r16(0x52, "rw") }),
});

interface Log {
  readonly calls: unknown[];
}

const timer = (log: Log) =>
  modelledDevice({
    name: "timer",
    ...{ vendorId: 0x1234, deviceId: 0x5678, classCode: 0x08_0200, revision: 3, intx: true },
    bars: { 0: { map, size: 0x4000 }, 2: { map: registerMap("ports", 8, { a: r8(0, "rw") }), kind: "io" } },
    msi: { vectors: 2 },
    msix: { vectors: 4, bar: 0, table: 0x2000, pba: 0x3000 },
    capabilities: [
      modelCapability(powerManagementCapability, capabilityId.powerManagement, { "capabilities.version": 3 }),
      modelCapability(expressCapability, capabilityId.express, {
        "flags.version": 2,
        "deviceCapabilities.functionLevelReset": true,
      }),
    ],
    create: (device) => {
      const registers = device.bars[0];
      let ticks = 0;
      let expiry: Disposable | undefined;
      return {
        bars: {
          0: {
            control: {
              write: ({ enable, start, mode }, before) => {
                log.calls.push(["control", enable, start, mode, before.enable]);
                if (!start) return;
                registers.set("status.busy", true);
                expiry = device.after(10, () => {
                  registers.set("status.busy", false);
                  registers.set("status.done", true);
                  if (!device.interrupts.send(1)) device.interrupts.setLine(true);
                });
              },
            },
            status: {
              write: ({ done }) => {
                if (!done) device.interrupts.setLine(false);
              },
            },
            scratch: { read: () => registers.set("scratch", registers.get("scratch") + 1) },
            transmit: { write: (value) => registers.set("receive", value ^ 0xff) },
            address: { write: (value) => void log.calls.push(["address", value]) },
            tables: {
              doorbell: { write: (value, _, index) => void log.calls.push(["doorbell", index, value]) },
              "queue.tail": { write: (value, _, index) => void log.calls.push(["tail", index, value]) },
            },
            rest: {
              read: (offset, data) => void data.fill(offset & 0xff),
              write: (offset, data) => void log.calls.push(["rest", offset, [...data]]),
            },
          },
        },
        reset: () => {
          ticks = 0;
          expiry?.[Symbol.dispose]();
          log.calls.push("reset");
        },
        save: () => ({ ticks: ++ticks }),
        restore: (state) => void log.calls.push(["restore", state]),
        close: () => void log.calls.push("close"),
      };
    },
  });

interface Made extends Disposable, Log {
  readonly device: ModelledDevice;
  readonly environment: LocalEnvironment;
  read(offset: number, width: number): number;
  write(offset: number, width: number, value: number): void;
}

function make(): Made {
  const calls: unknown[] = [];
  const environment = new LocalEnvironment(new LocalMemory(0x10000), { manual: true });
  const device = timer({ calls })(environment);
  return {
    ...{ calls, device, environment },
    read(offset, width) {
      const data = new Uint8Array(new ArrayBuffer(width));
      device.read(0, offset, data);
      return data.reduceRight((value, byte) => value * 256 + byte, 0);
    },
    write: (offset, width, value) => device.write(0, offset, bytesOf(value, width)),
    [Symbol.dispose]: () => device[Symbol.dispose](),
  };
}

describe("config space", () => {
  test("comes from the description", () => {
    using made = make();
    const config = new Uint8Array(new ArrayBuffer(256));
    made.device.read(RegionIndex.config, 0, config);
    const { capabilities, header } = decodeConfig(config);
    expect(capabilities.map(({ name }) => name)).toEqual(["PM", "PCIe", "MSI", "MSI-X"]);
    expect(header.registers).toMatchObject({ vendorId: 0x1234, deviceId: 0x5678, revisionId: 3 });
    expect([config[0x09], config[0x0a], config[0x0b]]).toEqual([0x00, 0x02, 0x08]);
    expect(made.device.irqs.map(({ count }) => count).slice(0, 3)).toEqual([1, 2, 4]);
    expect(made.device.regions.map(({ size }) => size).slice(0, 3)).toEqual([0x4000, 0, 8]);
  });
});

describe("access words", () => {
  test("reset values, read-only bits, write 1 to clear, and bits that start something", () => {
    using made = make();
    expect(made.read(0x00, 4)).toBe(0x1234_0001);
    made.write(0x00, 4, 0);
    expect(made.read(0x00, 4)).toBe(0x1234_0001);
    made.write(0x04, 4, 0b0111);
    expect(made.read(0x04, 4)).toBe(0b0101);
    expect(made.calls).toEqual([["control", true, true, "two", false]]);
    expect(made.read(0x08, 4)).toBe(0b10);
    made.environment.advance(10);
    expect(made.read(0x08, 4)).toBe(0b01);
    made.write(0x08, 1, 1);
    expect(made.read(0x08, 4)).toBe(0);
  });

  test("a read that clears, one that a handler answers, and a register that is another when it is read", () => {
    using made = make();
    made.write(0x0c, 4, 7);
    expect([made.read(0x0c, 4), made.read(0x0c, 4)]).toEqual([8, 9]);
    made.write(0x10, 1, 0x0f);
    expect(made.read(0x10, 1)).toBe(0xf0);
  });

  test("64 bits written as two halves are one register; part of a register is the whole for its handler", () => {
    using made = make();
    made.write(0x18, 4, 0x89abcdef);
    made.write(0x1c, 4, 0x01234567);
    expect(made.calls).toEqual([
      ["address", 0x89abcdefn],
      ["address", 0x01234567_89abcdefn],
    ]);
  });

  test("tables: the index says which", () => {
    using made = make();
    made.write(0x38, 4, 5);
    made.write(0x62, 2, 9);
    made.write(0x60, 4, 0x000a_0000);
    expect(made.calls).toEqual([
      ["doorbell", 3, 5],
      ["tail", 1, 9],
      ["tail", 1, 10],
    ]);
    expect(made.read(0x38, 4)).toBe(0);
  });

  test("what no register covers is the rest's, and an access may cross into it", () => {
    using made = make();
    expect(made.read(0x1000, 2)).toBe(0x0000);
    expect(made.read(0x7f, 1)).toBe(0x7f);
    made.write(0x14, 4, 1);
    expect(made.calls).toEqual([["rest", 0x14, [1, 0, 0, 0]]]);
  });

  test("a reset gives reset values, and keeps what is sticky", () => {
    using made = make();
    made.write(0x04, 4, 0b1101);
    made.write(0x0c, 4, 7);
    made.device.reset();
    expect(made.read(0x04, 4)).toBe(0b1100);
    expect(made.read(0x0c, 4)).toBe(1);
    expect(made.calls).toContain("reset");
  });
});

test("DMA needs bus mastering, and memory", () => {
  const calls: unknown[] = [];
  const memory = new LocalMemory(0x1000, 0x8000);
  using environment = new LocalEnvironment(memory);
  let copy: (from: number) => void = () => {};
  using device = modelledDevice({
    ...{ name: "dma", vendorId: 1, deviceId: 2, classCode: 0xff_0000 },
    bars: { 0: { map: registerMap("dma", 4, { go: r32(0, "wo") }) } },
    create: (context) => {
      copy = (from) => {
        const data = new Uint8Array(4);
        context.memory.read(from, data);
        calls.push([...data]);
      };
      return {};
    },
  })(environment);
  memory.bytes.set([1, 2, 3, 4], 0x10);
  expect(() => copy(0x8010)).toThrow(expect.objectContaining({ code: "EACCES" }));
  device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
  copy(0x8010);
  expect(calls).toEqual([[1, 2, 3, 4]]);
  expect(() => copy(0x9000)).toThrow(expect.objectContaining({ code: "EFAULT" }));
});

describe("under the passthrough model", () => {
  test("a guest drives it, hears its messages, and a snapshot carries its registers and its own state", () => {
    const environment = new LocalEnvironment(new LocalMemory(0x1000), { manual: true });
    const calls: unknown[] = [];
    using platform = new MemoryPlatform();
    using guest = VfioPciDevice.attach(timer({ calls })(environment), platform);
    guest.configWrite(0x04, 2, memoryBit | 4);
    const base = guest.configRead(0x10, 4);
    const control = guest.describe().capabilities.find(({ name }) => name === "MSI-X")!.offset + 2;
    guest.configWrite(control, 2, 0x8000);
    writeVector(guest, base + 0x2000, 1, 0x41);
    guest.mmioWrite(base + 4, bytesOf(0b11, 4));
    environment.advance(10);
    expect(platform.deliver().map(({ vector }) => vector)).toEqual([1]);
    expect(mmioRead(guest, base + 8, 4)).toBe(1);
    const snapshot: unknown = JSON.parse(JSON.stringify(guest.snapshot()));
    using other = new MemoryPlatform();
    const restoredCalls: unknown[] = [];
    using back = VfioPciDevice.restore(timer({ calls: restoredCalls })(environment), other, snapshot);
    expect(restoredCalls).toContainEqual(["restore", { ticks: 1 }]);
    expect(mmioRead(back, base + 8, 4)).toBe(1);
  });

  test("INTx is held until the device lets go: it comes again as long as it is asserted", () => {
    using made = make();
    using line = new Eventfd();
    const irqs = (
      action: "trigger" | "unmask",
      data: { kind: "none"; count: number } | { kind: "eventfd"; fds: number[] },
    ) => made.device.setIrqs({ index: IrqIndex.intx, action, start: 0, data });
    irqs("trigger", { kind: "eventfd", fds: [line.fd] });
    made.write(0x04, 4, 0b10);
    made.environment.advance(10);
    expect(line.drain()).toBe(1);
    irqs("unmask", { kind: "none", count: 1 });
    expect(line.drain()).toBe(1);
    made.write(0x08, 4, 1);
    irqs("unmask", { kind: "none", count: 1 });
    expect(line.drain()).toBe(0);
  });
});

test("a description that makes no device is refused in words", () => {
  const plain = { name: "x", vendorId: 1, deviceId: 2, classCode: 0, bars: { 0: { map } } } as const;
  using environment = new LocalEnvironment(new LocalMemory(0));
  const cases: [() => unknown, string][] = [
    [
      () => modelledDevice({ ...plain, bars: { 0: { map, size: 0x60 } } })(environment),
      '"bars.0.size" must be a power of two from 128, not 96',
    ],
    [() => modelledDevice({ ...plain, msi: { vectors: 3 } })(environment), '"msi.vectors" must be 1, 2, 4'],
    [
      () => modelledDevice({ ...plain, msix: { vectors: 1, bar: 1, table: 0, pba: 0 } })(environment),
      '"msix.bar" must be a memory BAR, not 1',
    ],
    [
      () =>
        modelledDevice({
          ...plain,
          bars: { 0: { map, size: 0x1000 } },
          msix: { vectors: 1, bar: 0, table: 0, pba: 0x800 },
        })(environment),
      '"msix.table" at 0 overlaps registers of timer',
    ],
    [
      () =>
        modelledDevice({ ...plain, create: () => ({ bars: { 0: { nothing: {} } as never } }) })(environment),
      'timer has no register "nothing" to handle',
    ],
  ];
  for (const [make, message] of cases) expect(make).toThrow(message);
});

test("time moves by itself where it is not moved by hand, and a descriptor is heard", async () => {
  using environment = new LocalEnvironment(new LocalMemory(0));
  using event = new Eventfd();
  const heard: string[] = [];
  const done = Promise.withResolvers<void>();
  environment.watch(event.fd, () => {
    event.drain();
    heard.push("descriptor");
    done.resolve();
  });
  environment.after(1, () => {
    heard.push("timer");
    event.signal();
  });
  using cancelled = environment.after(1, () => heard.push("never"));
  cancelled[Symbol.dispose]();
  await done.promise;
  expect(heard).toEqual(["timer", "descriptor"]);
});
