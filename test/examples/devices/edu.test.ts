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
  using it = make();
  expect(it.registers.identification.read()).toMatchObject({ raw: 0x0100_00ed, magic: 0xed, major: 1 });
  it.registers.liveness.write(0x1234_5678);
  expect(it.registers.liveness.read()).toBe(0xedcb_a987);
  expect(it.registers.raise.read()).toBe(0xffff_ffff);
  const data = new Uint8Array(4);
  it.device.read(0, 0x40, data);
  expect([...data]).toEqual([255, 255, 255, 255]);
});

test("factorials, modulo 2^32, with an interrupt if it is wanted; no number takes long", () => {
  using it = make();
  const of = (n: number): number => {
    it.registers.factorial.write(n);
    expect(it.registers.status.read().computing).toBe(true);
    it.registers.factorial.write(3);
    it.environment.advance(0);
    return it.registers.factorial.read();
  };
  expect([of(10), of(12), of(0), of(0xffff_ffff)]).toEqual([3628800, 479001600, 1, 0]);
  expect(it.heard()).toBe(0);
  it.registers.status.modify({ interruptWhenDone: true });
  expect(of(4)).toBe(24);
  expect([it.heard(), it.registers.causes.read()]).toEqual([1, 1]);
  it.registers.acknowledge.write(1);
  expect(it.registers.causes.read()).toBe(0);
});

test("DMA both ways; the address has 28 bits; past its own memory, or where there is none, nothing moves", () => {
  using it = make();
  const move = (source: number, destination: number, bytes: number, toMemory: boolean): void => {
    it.registers.dmaSource.write(BigInt(source));
    it.registers.dmaDestination.write(BigInt(destination));
    it.registers.dmaBytes.write(BigInt(bytes));
    it.registers.dma.write({ run: true, toMemory, interruptWhenDone: true });
    it.registers.dmaBytes.write(1n);
    expect(it.registers.dma.read().run).toBe(true);
    it.environment.advance(100);
    expect(it.registers.dma.read().run).toBe(false);
    expect([it.heard(), it.registers.causes.read()]).toEqual([1, 0x100]);
    it.registers.acknowledge.write(0x100);
  };
  const { base, bytes } = it.memory;
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
  using it = make();
  it.registers.factorial.write(5);
  it.device.reset();
  it.environment.advance(0);
  expect(it.registers.factorial.read()).toBe(0);
  it.registers.factorial.write(5);
  const state: unknown = JSON.parse(JSON.stringify(it.device.ownState.save()));
  using other = make();
  other.device.ownState.restore(state);
  other.environment.advance(0);
  expect(other.registers.factorial.read()).toBe(120);
  expect(() => other.device.ownState.restore({ bars: {} })).toThrow(RangeError);
});
