import { expect, test } from "bun:test";
import { LocalEnvironment, LocalMemory, type ModelledDevice } from "bun-vfio";
import { Eventfd } from "bun-vfio/ffi";
import { edu, eduDeviceMap } from "../../../examples/devices/edu.ts";
import type { Live } from "bun-vfio/regs";

interface Made extends Disposable {
  readonly device: ModelledDevice;
  readonly registers: Live<typeof eduDeviceMap.entries>;
  readonly memory: LocalMemory;
  readonly environment: LocalEnvironment;
  heard(): number;
}

function make(): Made {
  const memory = new LocalMemory(0x4000, 0x1000_0000 - 0x4000);
  const environment = new LocalEnvironment(memory, { manual: true });
  const device = edu(environment);
  device.write(7, 4, Uint8Array.of(6, 0));
  const event = new Eventfd();
  device.setIrqs({ index: 1, action: "trigger", start: 0, data: { kind: "eventfd", fds: [event.fd] } });
  const number = (data: Uint8Array): number => data.reduceRight((value, byte) => value * 256 + byte, 0);
  const registers = eduDeviceMap.live({
    read(offset, width) {
      const data = new Uint8Array(new ArrayBuffer(width));
      device.read(0, offset, data);
      return number(data);
    },
    write(offset, width, value) {
      const data = new Uint8Array(new ArrayBuffer(width));
      for (let i = 0; i < width; i++) data[i] = Math.floor(value / 2 ** (8 * i)) % 256;
      device.write(0, offset, data);
    },
  });
  return {
    ...{ device, registers, memory, environment },
    heard: () => event.drain(),
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      event[Symbol.dispose]();
    },
  };
}

test("identification, liveness, and what is not implemented", () => {
  using made = make();
  expect(made.registers.identification.read()).toMatchObject({ raw: 0x0100_00ed, magic: 0xed, major: 1 });
  made.registers.liveness.write(0x1234_5678);
  expect(made.registers.liveness.read()).toBe(0xedcb_a987);
  expect(made.registers.raise.read()).toBe(0xffff_ffff);
  const data = new Uint8Array(4);
  made.device.read(0, 0x40, data);
  expect([...data]).toEqual([255, 255, 255, 255]);
});

test("factorials, modulo 2^32, with an interrupt if it is wanted; no number takes long", () => {
  using made = make();
  const of = (n: number): number => {
    made.registers.factorial.write(n);
    expect(made.registers.status.read().computing).toBe(true);
    made.registers.factorial.write(3);
    made.environment.advance(0);
    return made.registers.factorial.read();
  };
  expect([of(10), of(12), of(0), of(0xffff_ffff)]).toEqual([3628800, 479001600, 1, 0]);
  expect(made.heard()).toBe(0);
  made.registers.status.modify({ interruptWhenDone: true });
  expect(of(4)).toBe(24);
  expect([made.heard(), made.registers.causes.read()]).toEqual([1, 1]);
  made.registers.acknowledge.write(1);
  expect(made.registers.causes.read()).toBe(0);
});

test("DMA both ways; the address has 28 bits; past its own memory, or where there is none, nothing moves", () => {
  using made = make();
  const move = (source: number, destination: number, bytes: number, toMemory: boolean): void => {
    made.registers.dmaSource.write(BigInt(source));
    made.registers.dmaDestination.write(BigInt(destination));
    made.registers.dmaBytes.write(BigInt(bytes));
    made.registers.dma.write({ run: true, toMemory, interruptWhenDone: true });
    made.registers.dmaBytes.write(1n);
    expect(made.registers.dma.read().run).toBe(true);
    made.environment.advance(100);
    expect(made.registers.dma.read().run).toBe(false);
    expect([made.heard(), made.registers.causes.read()]).toEqual([1, 0x100]);
    made.registers.acknowledge.write(0x100);
  };
  const { base, bytes } = made.memory;
  bytes.set([1, 2, 3, 4]);
  move(base, 0x40000, 4096, false);
  move(0x40000, base + 2 ** 28 + 0x1000, 4096, true);
  expect([...bytes.subarray(0x1000, 0x1004)]).toEqual([1, 2, 3, 4]);
  move(base, 0x40001, 4096, false);
  move(0x1000, 0x40000, 16, false);
  move(0x40000, base + 0x2000, 4, true);
  expect([...bytes.subarray(0x2000, 0x2004)]).toEqual([1, 2, 3, 4]);
});

test("a reset ends what is under way; a state goes on in another", () => {
  using made = make();
  made.registers.factorial.write(5);
  made.device.reset();
  made.environment.advance(0);
  expect(made.registers.factorial.read()).toBe(0);
  made.registers.factorial.write(5);
  const state: unknown = JSON.parse(JSON.stringify(made.device.ownState.save()));
  using other = make();
  other.device.ownState.restore(state);
  other.environment.advance(0);
  expect(other.registers.factorial.read()).toBe(120);
  expect(() => other.device.ownState.restore({ bars: {} })).toThrow(RangeError);
});

test("while its line is asserted, its status says so, for drivers that share it", () => {
  using made = make();
  const status = (): number => {
    const data = new Uint8Array(1);
    made.device.read(7, 6, data);
    return data[0]! & 8;
  };
  made.device.setIrqs({ index: 1, action: "trigger", start: 0, data: { kind: "none", count: 0 } });
  expect(status()).toBe(0);
  made.registers.raise.write(1);
  expect(status()).toBe(8);
  made.registers.acknowledge.write(1);
  expect(status()).toBe(0);
});
