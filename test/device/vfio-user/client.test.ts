// The client against this library's own server, in a thread of its own: everything that a backend does.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { AnonymousMemory, Eventfd, MemoryFile } from "../../../src/ffi/index.ts";
import {
  connectDevice,
  serveDevice,
  type ConnectOptions,
  type DeviceServer,
  type ServerEvent,
  type VfioUserClient,
} from "../../../src/device/vfio-user/index.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { socketBusy, socketDeviceId, socketRegister } from "../../support/socket-device.ts";
import { openDescriptors } from "../../support/descriptors.ts";
import { refusal } from "../../support/refusal.ts";

const module = new URL("../../support/socket-device.ts", import.meta.url);
let box: Sandbox;
let server: DeviceServer;
let device: VfioUserClient;
let events: ServerEvent[];

const connect = (options: ConnectOptions = {}): VfioUserClient =>
  connectDevice(join(box.path, "socket"), { name: "device", timeout: 10_000, ...options });

beforeEach(async () => {
  box = new Sandbox();
  events = [];
  server = serveDevice(module, { socket: join(box.path, "socket"), onEvent: (event) => events.push(event) });
  await server.ready;
  device = connect();
});
afterEach(async () => {
  device[Symbol.dispose]();
  await server.stop();
  box[Symbol.dispose]();
});

const read32 = (offset: number, region = 0): number => {
  const data = new DataView(new ArrayBuffer(4));
  device.read(region, offset, new Uint8Array(data.buffer));
  return data.getUint32(0, true);
};
const write32 = (offset: number, value: number, region = 0): void => {
  const data = new DataView(new ArrayBuffer(4));
  data.setUint32(0, value, true);
  device.write(region, offset, new Uint8Array(data.buffer));
};
const transfer = (kind: number, iova: number, length: number): number => {
  write32(socketRegister.address, iova % 2 ** 32);
  write32(socketRegister.address + 4, Math.floor(iova / 2 ** 32));
  write32(socketRegister.length, length);
  write32(socketRegister.command, kind);
  // A write is answered before the DMA that it causes by messages.
  for (let tries = 0; tries < 1000; tries++) {
    const status = read32(socketRegister.status);
    if (status !== socketBusy) return status;
  }
  throw new Error("the device stays busy");
};

describe("a client", () => {
  test("has the server's regions and interrupts, absent ones too", () => {
    expect(device.resettable).toBe(true);
    expect(device.regions.map(({ size, mappable }) => [size, mappable])).toEqual([
      [4096, false],
      [12288, true],
      ...Array.from({ length: 5 }, () => [0, false]),
      [256, false],
      [0, false],
    ]);
    expect(device.regions[1]!.sparse).toEqual([
      { offset: 0, size: 4096 },
      { offset: 8192, size: 4096 },
    ]);
    expect(device.irqs.map(({ count }) => count)).toEqual([1, 0, 4, 0, 0]);
    expect(device.irqs[0]).toMatchObject({ eventfd: true, maskable: true, automasked: true });
  });

  test("reads and writes registers and whole regions", () => {
    expect(read32(0)).toBe(socketDeviceId);
    write32(socketRegister.complement, 0x12345678);
    expect(read32(socketRegister.complement)).toBe(~0x12345678 >>> 0);
    const bytes = Uint8Array.from({ length: 2048 }, (_, i) => i);
    device.write(0, 0x800, bytes);
    const back = new Uint8Array(2048);
    device.read(0, 0x800, back);
    expect(back).toEqual(bytes);
    expect(read32(0, 7)).toBe(0xbeef1234);
  });

  test("throws what the server says, with the request, and goes on", () => {
    expect(refusal(() => write32(0, 1))).toMatchObject({
      code: "EPERM",
      errno: 1,
      message: "device: REGION_WRITE of 4 bytes at BAR0 0x0 fails with EPERM",
      device: "device",
    });
    expect(refusal(() => read32(5000))).toMatchObject({ code: "EINVAL" });
    expect(read32(0)).toBe(socketDeviceId);
  });

  test("maps what the server shares, and nothing else", () => {
    using mapping = device.map(1, { offset: 8192, size: 4096 });
    mapping.registers.write32(4, 0xcafe);
    expect(read32(8192 + 4, 1)).toBe(0xcafe);
    write32(8192, 0xbabe, 1);
    expect(mapping.registers.read32(0)).toBe(0xbabe);
    for (const area of [
      { offset: 4096, size: 4096 },
      { offset: 0, size: 8192 },
      { offset: 8192, size: 8192 },
      { offset: 0, size: 100 },
      { offset: 0, size: 0 },
    ])
      expect(refusal(() => device.map(1, area)).code).toBe("EINVAL");
    expect(refusal(() => device.map(0, { offset: 0, size: 4096 })).code).toBe("EINVAL");
    expect(refusal(() => device.map(99, { offset: 0, size: 4096 })).code).toBe("EINVAL");
  });

  test("gives vectors their eventfds, some and none at once, and hears the device", () => {
    using first = new Eventfd();
    using second = new Eventfd();
    device.setIrqs({
      index: 2,
      action: "trigger",
      start: 0,
      data: { kind: "eventfd", fds: [first.fd, -1, second.fd] },
    });
    for (const vector of [0, 1, 2]) write32(socketRegister.command, 3 + vector * 256);
    expect([first.drain(), second.drain()]).toEqual([1, 1]);
    device.setIrqs({ index: 2, action: "trigger", start: 2, data: { kind: "bool", values: [true] } });
    expect(second.drain()).toBe(1);
    device.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "none", count: 0 } });
    write32(socketRegister.command, 3);
    expect(first.drain()).toBe(0);
    const wrong = {
      index: 2,
      action: "trigger",
      start: 3,
      data: { kind: "eventfd", fds: [-1, -1] },
    } as const;
    expect(refusal(() => device.setIrqs(wrong)).code).toBe("EINVAL");
    expect(refusal(() => device.setIrqs({ ...wrong, index: 1, start: 0 })).code).toBe("EINVAL");
  });

  test("resets the device, and knows no features of it", () => {
    write32(0x900, 7);
    device.reset();
    expect(read32(0x900)).toBe(0);
    expect(device.probeFeature(1)).toBeUndefined();
  });

  test("gives memory with a file by its descriptor", () => {
    using file = new MemoryFile({ size: 8192, name: "RAM" });
    using memory = file.map();
    const iova = 2 ** 32;
    device.dma.map({ iova, size: 8192, hva: memory.address, file: { fd: file.fd, offset: 0 } });
    memory.view(5, 4).set([1, 2, 3, 4]);
    expect(transfer(1, iova + 5, 4)).toBe(0);
    expect(read32(socketRegister.buffer)).toBe(0x04030201);
    expect(transfer(2, iova + 8190, 2)).toBe(0);
    expect([...memory.view(8190, 2)]).toEqual([1, 2]);
    device.dma.unmap(iova, 8192);
    expect(transfer(1, iova, 4)).toBe(14);
  });

  test.each([true, false])(
    "serves memory without a file by messages, twin socket: %p",
    async (twinSocket) => {
      device[Symbol.dispose]();
      device = connect({ twinSocket });
      expect(device.server.twinSocket.supported).toBe(twinSocket);
      using memory = new AnonymousMemory(2 * 4096);
      device.dma.map({ iova: 0x10000, size: 4096, hva: memory.address, writable: false });
      device.dma.map({ iova: 0x11000, size: 4096, hva: memory.address + 4096 });
      memory.view(4094, 4).set([9, 8, 7, 6]);
      expect(transfer(1, 0x10ffe, 4)).toBe(0);
      expect(read32(socketRegister.buffer)).toBe(0x06070809);
      expect(transfer(2, 0x11000, 2)).toBe(0);
      expect([...memory.view(4096, 2)]).toEqual([9, 8]);
      expect(transfer(2, 0x10000, 2)).toBe(13);
      expect(transfer(1, 0x20000, 2)).toBe(14);
      device.dma.unmap(0x10000, 8192);
      expect(transfer(1, 0x10ffe, 4)).toBe(14);
    },
  );

  test("serves the device's DMA while nobody calls", async () => {
    device[Symbol.dispose]();
    device = connect({ postedWrites: true, twinSocket: false });
    using memory = new AnonymousMemory(4096);
    device.dma.map({ iova: 0, size: 4096, hva: memory.address });
    write32(socketRegister.buffer, 0xabcd);
    write32(socketRegister.length, 4);
    write32(socketRegister.command, 2);
    for (let tries = 0; tries < 5000 && memory.view(0, 1)[0] === 0; tries++) await Bun.sleep(2);
    const written = [...memory.view(0, 2)];
    // Before the memory goes: a device that is late must not find it.
    device.dma.unmap(0, 4096);
    expect(written).toEqual([0xcd, 0xab]);
    expect(read32(socketRegister.status)).toBe(0);
  });

  test("posts BAR writes where it is told to; one that is refused is told nobody", () => {
    device[Symbol.dispose]();
    device = connect({ postedWrites: true });
    write32(socketRegister.id, 1);
    write32(0x900, 5);
    expect(read32(0x900)).toBe(5);
  });

  test("is closed once, and refuses everything afterwards", () => {
    device[Symbol.dispose]();
    device[Symbol.dispose]();
    for (const act of [
      () => read32(0),
      () => write32(0, 0),
      () => device.map(1, { offset: 0, size: 4096 }),
      () => device.reset(),
      () => device.probeFeature(0),
      () => device.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "none", count: 0 } }),
    ])
      expect(refusal(act).code).toBe("ECLOSED");
  });

  test("that goes leaves the device as it is, with nothing of the client's, and the next comes", async () => {
    using eventfd = new Eventfd();
    using file = new MemoryFile({ size: 4096, name: "RAM" });
    using memory = file.map();
    write32(0x900, 77);
    device.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "eventfd", fds: [eventfd.fd] } });
    device.dma.map({ iova: 0, size: 4096, hva: memory.address, file: { fd: file.fd, offset: 0 } });
    device[Symbol.dispose]();
    device = connect();
    expect(read32(0x900)).toBe(77);
    expect(transfer(1, 0, 4)).toBe(14);
    write32(socketRegister.command, 3);
    expect(eventfd.drain()).toBe(0);
  });
});

test("a server that ends is one event, and every call fails from then on", async () => {
  const told: string[] = [];
  using other = (device[Symbol.dispose](), connect({ onEvent: ({ kind }) => told.push(kind) }));
  const ended = server.stop();
  for (let tries = 0; tries < 500 && told.length === 0; tries++) await Bun.sleep(1);
  await ended;
  expect(other.gone).toBe(true);
  for (let i = 0; i < 3; i++)
    expect(refusal(() => other.read(0, 0, new Uint8Array(4)))).toMatchObject({ code: "ENODEV", errno: 19 });
  other.dma.unmapAll();
  expect(told).toEqual(["device-gone"]);
});

test("nobody at the path, or somebody who is no server, is said so", () => {
  expect(refusal(() => connectDevice(join(box.path, "none")))).toMatchObject({
    code: "ENOENT",
    hint: "No server has made that socket yet.",
  });
});

test("a hundred clients leave no descriptor open, here or in the server", async () => {
  device[Symbol.dispose]();
  const open = (): number => openDescriptors().length;
  connect({ keepAlive: true })[Symbol.dispose]();
  await Bun.sleep(20);
  const before = open();
  for (let i = 0; i < 100; i++) {
    using one = connect({ keepAlive: true });
    using memory = new AnonymousMemory(4096);
    using mapping = one.map(1, { offset: 0, size: 4096 });
    one.dma.map({ iova: 0, size: 4096, hva: memory.address });
    expect(mapping.registers.size).toBe(4096);
    one.dma.unmapAll();
  }
  for (let tries = 0; tries < 100 && open() > before; tries++) await Bun.sleep(5);
  expect(open()).toBeLessThanOrEqual(before);
  device = connect();
}, 30_000);
