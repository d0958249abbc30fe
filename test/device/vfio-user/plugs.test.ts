// A thousand clients of one server (in CI; a hundred else), each plugged into a guest and unplugged: afterwards both processes
// hold what they held before.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { connectDevice } from "../../../src/device/vfio-user/index.ts";
import { AnonymousMemory, MemoryFile } from "../../../src/ffi/index.ts";
import { bytesOf, master, memory, mmioRead, writeVector } from "../../support/attached.ts";
import { Holdings } from "../../support/holdings.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { socketDeviceId, socketRegister } from "../../support/socket-device.ts";

const rounds = process.env["CI"] ? 1000 : 100;
const bar = 0xd000_0000;
const mappedBar = 0xd010_0000;

let box: Sandbox;
let server: Bun.Subprocess<"ignore", "pipe", "inherit">;
let socket: string;
beforeEach(async () => {
  box = new Sandbox();
  socket = join(box.path, "socket");
  const script = join(import.meta.dir, "../../support/serve-socket-device.ts");
  server = Bun.spawn([process.execPath, script, socket], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  await server.stdout.getReader().read();
});
afterEach(async () => {
  server.kill();
  await server.exited;
  box[Symbol.dispose]();
});

/** What the server's process has open, and how much of it is memory that somebody shared or that it shares. */
const serverHolds = (): { readonly descriptors: number; readonly shared: number } => ({
  descriptors: readdirSync(`/proc/${server.pid}/fd`).length,
  shared: readFileSync(`/proc/${server.pid}/maps`, "latin1").split("/memfd:").length - 1,
});

test(`${rounds} connects, plugs and unplugs leave nothing, here or in the server`, async () => {
  using file = new MemoryFile({ size: 8192, name: "RAM" });
  using ram = file.map();
  using other = new AnonymousMemory(4096);
  using platform = new MemoryPlatform();
  ram.view(0, 4).set([1, 2, 3, 4]);

  const plug = (): void => {
    const backend = connectDevice(socket, { name: "device", timeout: 20_000, keepAlive: true });
    backend.dma.map({ iova: 0, size: 8192, hva: ram.address, file: { fd: file.fd, offset: 0 } });
    backend.dma.map({ iova: 0x10000, size: 4096, hva: other.address });
    using device = VfioPciDevice.attach(backend, platform);
    device.configWrite(0x10, 4, bar);
    device.configWrite(0x14, 4, mappedBar);
    device.configWrite(0x04, 2, memory | master);
    writeVector(device, bar + 0x400, 1, 0x31);
    device.configWrite(0x42, 2, 0x8000);
    expect(platform.state().slots).toHaveLength(2);
    expect(mmioRead(device, bar, 4)).toBe(socketDeviceId);
    device.mmioWrite(bar + socketRegister.length, bytesOf(4, 4));
    device.mmioWrite(bar + socketRegister.command, bytesOf(1 + 256, 4));
    expect(mmioRead(device, bar + socketRegister.status, 4)).toBe(0);
    expect(mmioRead(device, bar + socketRegister.buffer, 4)).toBe(0x04030201);
  };

  for (let i = 0; i < 10; i++) plug();
  await Bun.sleep(50);
  using holdings = new Holdings();
  const before = holdings.now;
  const there = serverHolds();
  for (let i = 0; i < rounds; i++) {
    plug();
    if (i % 100 === 99) await Bun.sleep(0);
  }
  await holdings.expect(before, `${rounds} rounds`);
  expect(platform.leaks()).toEqual([]);
  for (let tries = 0; tries < 500 && serverHolds().descriptors > there.descriptors; tries++)
    await Bun.sleep(5);
  expect(serverHolds()).toEqual(there);
}, 300_000);
