// A server that is killed under a guest: real processes, and a guest in memory. All ones, and one event; with `reconnect` the
// device again, once it is unplugged and plugged in.
import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import type { DeviceEvent } from "../../../src/device/seam/events.ts";
import {
  connectDevice,
  type ClientEvent,
  type ConnectOptions,
  type VfioUserClient,
} from "../../../src/device/vfio-user/index.ts";
import { MemoryFile, type Mapping } from "../../../src/ffi/index.ts";
import { bytesOf, master, memory, mmioRead, writeVector } from "../../support/attached.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { socketDeviceId, socketRegister } from "../../support/socket-device.ts";

setDefaultTimeout(60_000);

const script = join(import.meta.dir, "../../support/serve-socket-device.ts");
let box: Sandbox;
let socket: string;
let server: Bun.Subprocess<"ignore", "pipe", "inherit"> | undefined;
let events: string[];

async function start(): Promise<void> {
  server = Bun.spawn([process.execPath, script, socket], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const reader = server.stdout.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("listening\n");
}
async function kill(): Promise<void> {
  server!.kill("SIGKILL");
  await server!.exited;
  expect(server!.signalCode).toBe("SIGKILL");
}
beforeEach(async () => {
  box = new Sandbox();
  socket = join(box.path, "socket");
  events = [];
  await start();
});
afterEach(async () => {
  server?.kill("SIGKILL");
  await server?.exited;
  box[Symbol.dispose]();
});

const bar = 0xd000_0000;
const table = 0x400;
const iova = 0x10_0000;

/** A guest that uses the device: decoding and bus mastering on, a vector, memory that the device reaches. */
class Guest implements Disposable {
  readonly backend: VfioUserClient;
  readonly device: VfioPciDevice;
  readonly platform = new MemoryPlatform();
  readonly told: DeviceEvent[] = [];
  readonly #file = new MemoryFile({ size: 8192, name: "RAM" });
  readonly ram: Mapping;

  constructor(options: ConnectOptions = {}) {
    this.ram = this.#file.map();
    this.backend = connectDevice(socket, {
      ...{ name: "device", timeout: 10_000, keepAlive: true, ...options },
      onEvent: (event: ClientEvent) => {
        events.push(event.kind);
        // As a VMM does: the model is told to look.
        if (event.kind === "device-gone") this.device.checkPresence();
      },
    });
    this.backend.dma.map({ iova, size: 8192, hva: this.ram.address, file: { fd: this.#file.fd, offset: 0 } });
    this.device = VfioPciDevice.attach(this.backend, this.platform, {
      onEvent: (event) => void this.told.push(event),
    });
    this.device.configWrite(0x10, 4, bar);
    this.device.configWrite(0x04, 2, memory | master);
    writeVector(this.device, bar + table, 0, 0x31);
    this.device.configWrite(0x42, 2, 0x8000);
  }

  write(offset: number, value: number): void {
    this.device.mmioWrite(bar + offset, bytesOf(value, 4));
  }
  read(offset: number): number | undefined {
    return mmioRead(this.device, bar + offset, 4);
  }

  /** Has the device read memory and interrupt. @returns status and the first dword that it read */
  transfer(): (number | undefined)[] {
    this.ram.view(0, 4).set([1, 2, 3, 4]);
    this.write(socketRegister.address, iova);
    this.write(socketRegister.length, 4);
    this.write(socketRegister.command, 1);
    return [this.read(socketRegister.status), this.read(socketRegister.buffer)];
  }

  [Symbol.dispose](): void {
    this.device[Symbol.dispose]();
    this.platform[Symbol.dispose]();
    this.ram[Symbol.dispose]();
    this.#file[Symbol.dispose]();
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 5000 && !holds(); tries++) await Bun.sleep(2);
}

test("the guest reads all ones from then on, and one event says so", async () => {
  using guest = new Guest();
  expect(guest.read(0)).toBe(socketDeviceId);
  expect(guest.transfer()).toEqual([0, 0x04030201]);
  await kill();
  await until(() => events.length > 0);
  for (const [offset, width] of [
    [0x00, 4],
    [0x04, 2],
    [0x10, 4],
    [0x43, 1],
  ] as const)
    expect(guest.device.configRead(offset, width)).toBe(2 ** (8 * width) - 1);
  guest.device.configWrite(0x04, 2, memory);
  expect(guest.read(0) ?? 0xffff_ffff).toBe(0xffff_ffff);
  guest.write(socketRegister.command, 1);
  expect(guest.platform.state()).toMatchObject({ slots: [], trapped: [] });
  // Another server there changes nothing: nobody asked for it.
  await start();
  await Bun.sleep(100);
  expect(guest.device.configRead(0x00, 4)).toBe(0xffff_ffff);
  expect(events).toEqual(["device-gone"]);
  expect(guest.told.map(({ kind }) => kind)).toEqual(["device-gone"]);
  guest.device[Symbol.dispose]();
  expect([guest.device.released, guest.platform.leaks()]).toEqual([true, []]);
});

test("in the middle of what the guest does, the access that finds out gives all ones, and the event comes once", async () => {
  using guest = new Guest();
  expect(guest.read(0)).toBe(socketDeviceId);
  // The event loop does not turn: it is the access that notices.
  server!.kill("SIGKILL");
  for (let tries = 0; guest.read(0) === socketDeviceId && tries < 100_000; tries++);
  expect(guest.read(0) ?? 0xffff_ffff).toBe(0xffff_ffff);
  expect(guest.device.configRead(0x00, 4)).toBe(0xffff_ffff);
  await Bun.sleep(20);
  expect(events).toEqual(["device-gone"]);
  expect(guest.told.map(({ kind }) => kind)).toEqual(["device-gone"]);
});

test("with `reconnect`: the device again, as after a reset; unplugged and plugged in, the guest drives it", async () => {
  using guest = new Guest({ reconnect: { interval: 20, limit: 60_000 } });
  guest.write(0x900, 77);
  expect(guest.transfer()).toEqual([0, 0x04030201]);
  await kill();
  await until(() => events.length > 0);
  expect(guest.device.configRead(0x00, 4)).toBe(0xffff_ffff);
  await start();
  await until(() => events.length > 1);
  expect(events).toEqual(["device-gone", "device-was-reset"]);
  // What the client replays, the device has: COMMAND, the BARs, memory. The rest is as after a reset.
  const { backend } = guest;
  const config = new DataView(new ArrayBuffer(256));
  backend.read(7, 0, new Uint8Array(config.buffer));
  expect(config.getUint16(0x04, true) & master).toBe(master);
  const value = new Uint8Array(4);
  backend.read(0, 0x900, value);
  expect([...value]).toEqual([0, 0, 0, 0]);
  // The model takes a device that was away for another one until it is plugged in again.
  expect(guest.device.configRead(0x00, 4)).toBe(0xffff_ffff);
  guest.device[Symbol.dispose]();
  expect([guest.device.released, guest.platform.leaks()]).toEqual([true, []]);
  events = [];
  using again = new Guest({ reconnect: { interval: 20 } });
  expect(again.read(0)).toBe(socketDeviceId);
  expect(again.transfer()).toEqual([0, 0x04030201]);
  expect(events).toEqual([]);
});
