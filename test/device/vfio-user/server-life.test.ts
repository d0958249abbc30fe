// A server from its socket to its end: where it listens, who may come, and what is left when a client goes. Each way of
// serving does the same.
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  serveDevice,
  serveDeviceBlocking,
  type DeviceServer,
  type ServeOptions,
  type ServerEvent,
} from "../../../src/device/vfio-user/index.ts";
import { Command } from "../../../src/device/vfio-user/messages/header.ts";
import { Eventfd, listenUnix, MemoryFile } from "../../../src/ffi/index.ts";
import { openDescriptors } from "../../support/descriptors.ts";
import { joined, le32, le64, message, RawPeer, readU32, versionBody } from "../../support/raw-peer.ts";
import { Sandbox } from "../../support/sandbox.ts";
import makeDevice, { socketDeviceId, SocketDevice, socketRegister } from "../../support/socket-device.ts";
import { refusal } from "../../support/refusal.ts";

setDefaultTimeout(60_000);

let box: Sandbox;
let socket: string;
let events: ServerEvent[];
const open = new Set<AsyncDisposable | Disposable>();
beforeEach(() => {
  box = new Sandbox();
  socket = join(box.path, "socket");
  events = [];
});
afterEach(async () => {
  for (const one of [...open].reverse())
    if (Symbol.asyncDispose in one) await one[Symbol.asyncDispose]();
    else one[Symbol.dispose]();
  open.clear();
  box[Symbol.dispose]();
});

const ways = {
  "on the event loop": makeDevice,
  "in a thread": new URL("../../support/socket-device.ts", import.meta.url),
};
async function serve(
  device: (typeof ways)[keyof typeof ways] = makeDevice,
  options: Partial<ServeOptions> = {},
): Promise<DeviceServer> {
  const server = serveDevice(device, { socket, onEvent: (event) => void events.push(event), ...options });
  open.add(server);
  await server.ready;
  return server;
}
async function connect(): Promise<RawPeer> {
  const peer = new RawPeer(socket);
  open.add(peer);
  await peer.hello();
  return peer;
}
const close = (peer: RawPeer): void => {
  peer[Symbol.dispose]();
  open.delete(peer);
};
const access = (offset: number, count: number): Uint8Array => joined(le64(offset), le32(0, count));
const read = async (peer: RawPeer, offset: number): Promise<number> =>
  readU32((await peer.ask(Command.regionRead, access(offset, 4))).body, 16);
const write = async (peer: RawPeer, offset: number, value: number): Promise<void> =>
  void (await peer.ask(Command.regionWrite, joined(access(offset, 4), le32(value))));
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 2000 && !holds(); tries++) await Bun.sleep(2);
}
const kinds = (): string[] => events.map(({ kind }) => kind);

describe("the socket", () => {
  test("has mode 0600 whatever the umask, and is gone with the server", async () => {
    const umask = process.umask(0);
    const server = await serve();
    process.umask(umask);
    expect(statSync(socket).mode & 0o7777).toBe(0o600);
    await server.stop();
    await server.stop();
    expect(existsSync(socket)).toBe(false);
  });

  test("is not made in a folder that others may write to, nor in none", () => {
    const shared = join(box.path, "shared");
    mkdirSync(shared);
    for (const mode of [0o777, 0o775, 0o757]) {
      chmodSync(shared, mode);
      const error = refusal(() => serveDevice(makeDevice, { socket: join(shared, "s") }));
      expect([mode, error.code]).toEqual([mode, "EPERM"]);
      expect(error.hint).toContain("$XDG_RUNTIME_DIR");
      expect(existsSync(join(shared, "s"))).toBe(false);
    }
    expect(refusal(() => serveDevice(makeDevice, { socket: join(box.path, "none/s") })).code).toBe("ENOENT");
  });

  test("may be made in a folder where others cannot remove it: the sticky bit is set", async () => {
    const sticky = join(box.path, "sticky");
    mkdirSync(sticky);
    chmodSync(sticky, 0o1777);
    socket = join(sticky, "s");
    await serve();
    expect(existsSync(socket)).toBe(true);
  });

  test("replaces one that a dead server left, and nothing else", async () => {
    listenUnix(socket, 1, 0o600)[Symbol.dispose]();
    expect(existsSync(socket)).toBe(true);
    await serve();
    const peer = await connect();
    expect(refusal(() => serveDevice(makeDevice, { socket })).code).toBe("EADDRINUSE");
    expect(await read(peer, 0)).toBe(socketDeviceId);
    const file = join(box.path, "file");
    writeFileSync(file, "precious");
    expect(refusal(() => serveDevice(makeDevice, { socket: file }))).toMatchObject({
      code: "EADDRINUSE",
      hint: "Something is at that path: choose another, or remove it.",
    });
    expect(statSync(file).size).toBe(8);
  });

  test("that is another's by now is left alone", async () => {
    const server = await serve();
    unlinkSync(socket);
    writeFileSync(socket, "another's");
    await server.stop();
    expect(existsSync(socket)).toBe(true);
  });

  test("may be one that listens already, by its descriptor", async () => {
    const listening = listenUnix(socket, 1, 0o600);
    await serve(makeDevice, { socket: listening.fd });
    const peer = await connect();
    expect(await read(peer, 0)).toBe(socketDeviceId);
  });
});

describe.each(Object.entries(ways))("%s", (_, device) => {
  test("only users that are allowed are served (SO_PEERCRED)", async () => {
    const uid = process.getuid!();
    const server = await serve(device, { allowUids: [uid + 1] });
    const stranger = new RawPeer(socket);
    open.add(stranger);
    stranger.send(Command.version, versionBody());
    expect(await stranger.receive()).toBeUndefined();
    await until(() => events.length > 0);
    expect(events).toEqual([{ kind: "client-refused", pid: process.pid, uid }]);
    await server.stop();
    open.delete(server);
    events.length = 0;
    await serve(device, { allowUids: [uid] });
    const peer = await connect();
    expect(await read(peer, 0)).toBe(socketDeviceId);
    await until(() => events.length > 0);
    expect(events[0]).toEqual({ kind: "client-connected", pid: process.pid, uid });
  });

  test("one client at a time; the next waits, and finds the device as it was left, with nothing of the first's", async () => {
    await serve(device);
    const first = await connect();
    using file = new MemoryFile({ size: 4096, name: "memory" });
    using eventfd = new Eventfd();
    await write(first, 0x900, 77);
    await first.ask(Command.dmaMap, joined(le32(32, 3), le64(0, 0, 4096)), { fds: [file.fd] });
    await first.ask(Command.setIrqs, le32(20, 0x24, 2, 0, 1), { fds: [eventfd.fd] });
    const second = new RawPeer(socket);
    open.add(second);
    second.send(Command.version, versionBody());
    expect(await read(first, 0x900)).toBe(77);
    close(first);
    expect((await second.receive())?.error).toBe(0);
    expect(await read(second, 0x900)).toBe(77);
    await write(second, socketRegister.length, 4);
    await write(second, socketRegister.command, 1);
    expect(await read(second, socketRegister.status)).toBe(14);
    await write(second, socketRegister.command, 3);
    expect(eventfd.drain()).toBe(0);
    await until(() => events.length > 2);
    expect(kinds().slice(0, 3)).toEqual(["client-connected", "client-left", "client-connected"]);
    expect(events[1]).toEqual({ kind: "client-left", reason: undefined });
  });

  test("a client that goes in the middle of a message is gone, one that stays there is given up in time", async () => {
    await serve(device, { peerTimeout: 200 });
    const half = message(Command.regionWrite, joined(access(0x900, 4), le32(1))).slice(0, 20);
    const first = await connect();
    first.sendBytes(half);
    close(first);
    const second = await connect();
    second.sendBytes(half);
    expect(await second.receive()).toBeUndefined();
    const third = await connect();
    expect(await read(third, 0x900)).toBe(0);
    await until(() => kinds().filter((kind) => kind === "client-left").length === 2);
    expect(
      events.filter(({ kind }) => kind === "client-left").map((event) => "reason" in event && event.reason),
    ).toEqual([undefined, expect.stringContaining("a message that does not end")]);
  });

  test("a client that reads no answers is given up in time", async () => {
    await serve(device, { peerTimeout: 200 });
    const first = await connect();
    // The questions fit in the socket, the answers do not.
    for (let i = 0; i < 150; i++) first.send(Command.regionRead, access(0x800, 2048));
    await until(() => kinds().includes("client-left"));
    expect(events.at(-1)).toMatchObject({ reason: expect.stringContaining("ETIMEDOUT") });
    expect(await read(await connect(), 0)).toBe(socketDeviceId);
  });

  test("a hundred clients that break off leave no descriptor", async () => {
    await serve(device);
    const one = async (): Promise<void> => {
      const peer = await connect();
      using file = new MemoryFile({ size: 4096, name: "memory" });
      using eventfd = new Eventfd();
      await peer.ask(Command.dmaMap, joined(le32(32, 3 + 8), le64(0, 0, 4096)), { fds: [file.fd] });
      await peer.ask(Command.setIrqs, le32(20, 0x24, 2, 0, 1), { fds: [eventfd.fd] });
      peer.sendBytes(new Uint8Array(16).fill(0xff), [file.fd, eventfd.fd]);
      close(peer);
    };
    await one();
    await until(() => kinds().includes("client-left"));
    const before = openDescriptors().length;
    for (let i = 0; i < 100; i++) await one();
    await until(() => openDescriptors().length <= before);
    expect(openDescriptors().length).toBeLessThanOrEqual(before);
  });
});

test("in this thread, which blocks, so many clients are served as it is told", async () => {
  const client = new Worker(new URL("../../support/two-clients.ts", import.meta.url).href);
  const told = Promise.withResolvers<unknown>();
  client.addEventListener("message", ({ data }: MessageEvent) => told.resolve(data));
  serveDeviceBlocking(makeDevice, {
    ...{ socket, clients: 2, onEvent: (event: ServerEvent) => void events.push(event) },
    onListening: () => client.postMessage(socket),
  });
  expect(await told.promise).toEqual([socketDeviceId, socketDeviceId]);
  expect(kinds()).toEqual(["client-connected", "client-left", "client-connected", "client-left"]);
  expect(existsSync(socket)).toBe(false);
  client.terminate();
});

describe("a device's thread", () => {
  test("whose module fails is told by `ready`, with what it said", async () => {
    for (const [text, said] of [
      ["export default () => { throw new Error('no such disk'); };", "no such disk"],
      ["export const nothing = 1;", "not a function"],
      ["throw new Error('at once');", "at once"],
    ] as const) {
      const module = box.write(`device-${said.length}.ts`, text);
      const server = serveDevice(new URL(`file://${module}`), { socket });
      open.add(server);
      expect(await server.ready.then(() => "ready", String)).toContain(said);
    }
  });

  test("ends at once when it is told to, also while a client is connected", async () => {
    const server = await serve(ways["in a thread"]);
    const peer = await connect();
    await server.stop();
    expect(await peer.receive()).toBeUndefined();
  });
});

test("a device that throws anything but an error of this library is EIO for the client, and goes on", async () => {
  class Broken extends SocketDevice {
    override reset(): void {
      throw new TypeError("a mistake");
    }
  }
  const server = serveDevice((environment) => new Broken(environment), {
    ...{ socket, onEvent: (event: ServerEvent) => void events.push(event) },
  });
  open.add(server);
  const peer = await connect();
  expect((await peer.ask(Command.reset)).error).toBe(5);
  expect(events.at(-1)).toEqual({
    kind: "request-failed",
    command: "DEVICE_RESET",
    errno: 5,
    message: "a mistake",
  });
  expect(await read(peer, 0)).toBe(socketDeviceId);
});
