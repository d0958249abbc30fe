// What one client may have of a server, each bound by itself; and memory that a client could take away.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { closeSync, ftruncateSync, openSync } from "node:fs";
import { join } from "node:path";
import {
  defaultLimits,
  serveDevice,
  type DeviceServer,
  type ServerLimits,
} from "../../../src/device/vfio-user/index.ts";
import { Command } from "../../../src/device/vfio-user/messages/header.ts";
import { MemoryFile, traceSyscalls } from "../../../src/ffi/index.ts";
import { joined, le32, le64, RawPeer } from "../../support/raw-peer.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { unsealedFile } from "../../support/unsealed-file.ts";
import makeDevice, { socketRegister } from "../../support/socket-device.ts";

const errno = { permission: 1, invalid: 22, tooManyFiles: 24, noSpace: 28 };

let box: Sandbox;
let server: DeviceServer | undefined;
let peer: RawPeer;
beforeEach(() => {
  box = new Sandbox();
});
afterEach(async () => {
  peer?.[Symbol.dispose]();
  await server?.stop();
  server = undefined;
  box[Symbol.dispose]();
});

async function serve(limits: Partial<ServerLimits> = {}): Promise<void> {
  const socket = join(box.path, "socket");
  server = serveDevice(makeDevice, { socket, limits });
  peer = new RawPeer(socket);
  await peer.hello();
}
const error = async (...args: Parameters<RawPeer["ask"]>): Promise<number> => (await peer.ask(...args)).error;
const map = (iova: number, size: number, flags = 3): Uint8Array =>
  joined(le32(32, flags), le64(0, iova, size));
const unmap = (iova: number, size: number): Uint8Array => joined(le32(24, 0), le64(iova, size));
const access = (offset: number, count: number): Uint8Array => joined(le64(offset), le32(0, count));

describe("maps of one client", () => {
  test("are `maxDmaMaps`; one that goes makes room", async () => {
    await serve({ maxDmaMaps: 3 });
    for (const iova of [0, 4096, 8192]) expect(await error(Command.dmaMap, map(iova, 4096))).toBe(0);
    expect(await error(Command.dmaMap, map(12288, 4096))).toBe(errno.noSpace);
    expect(await error(Command.dmaUnmap, unmap(0, 4096))).toBe(0);
    expect(await error(Command.dmaMap, map(12288, 4096))).toBe(0);
  });

  test("have `maxMappedBytes` of files together, each file once however often it is mapped", async () => {
    await serve({ maxMappedBytes: 8 * 4096 });
    using first = new MemoryFile({ size: 5 * 4096, name: "first" });
    using second = new MemoryFile({ size: 4 * 4096, name: "second" });
    for (let page = 0; page < 5; page++)
      expect(await error(Command.dmaMap, map(page * 4096, 4096), { fds: [first.fd] })).toBe(0);
    expect(await error(Command.dmaMap, map(2 ** 20, 4096), { fds: [second.fd] })).toBe(errno.noSpace);
    expect(await error(Command.dmaUnmap, unmap(0, 5 * 4096))).toBe(0);
    expect(await error(Command.dmaMap, map(2 ** 20, 4096), { fds: [second.fd] })).toBe(0);
  });

  test("have 1,024 files; those that nobody uses any more make room", async () => {
    await serve();
    const mapAnother = async (page: number): Promise<number> => {
      using file = new MemoryFile({ size: 4096, name: "one of many" });
      return await error(Command.dmaMap, map(page * 4096, 4096), { fds: [file.fd] });
    };
    for (let page = 0; page < 1024; page++) expect(await mapAnother(page)).toBe(0);
    expect(await mapAnother(1024)).toBe(errno.noSpace);
    expect(await error(Command.dmaUnmap, unmap(0, 4 * 4096))).toBe(0);
    for (let page = 0; page < 4; page++) expect(await mapAnother(page)).toBe(0);
    expect(await mapAnother(1024)).toBe(errno.noSpace);
  }, 30_000);

  test("have 64 files by file I/O, whose descriptors stay open", async () => {
    await serve();
    using file = new MemoryFile({ size: 4096, name: "memory" });
    const mapAt = (page: number): Promise<number> =>
      error(Command.dmaMap, map(page * 4096, 4096, 3 + 8), { fds: [file.fd] });
    for (let page = 0; page < 64; page++) expect(await mapAt(page)).toBe(0);
    expect(await mapAt(64)).toBe(errno.tooManyFiles);
    expect(await error(Command.dmaUnmap, unmap(0, 4096))).toBe(0);
    expect(await mapAt(64)).toBe(0);
  });
});

test("data of an access are `maxTransfer`, and a message has little more", async () => {
  await serve({ maxTransfer: 4096 });
  expect(await error(Command.regionRead, access(0, 4096))).toBe(0);
  expect(await error(Command.regionRead, joined(le64(0), le32(1, 4097)))).toBe(errno.invalid);
  const body = joined(le64(0), le32(1, 64 * 1024), new Uint8Array(64 * 1024));
  peer.send(Command.regionWrite, body);
  expect(await peer.receive()).toBeUndefined();
});

test("a message may have more descriptors than were asked for; what it does not need is closed", async () => {
  await serve({ maxMessageFds: 1 });
  using file = new MemoryFile({ size: 4096, name: "memory" });
  const many = Array.from({ length: 253 }, () => file.fd);
  expect(await error(Command.regionRead, access(0, 4), { fds: many })).toBe(0);
  expect(await error(Command.setIrqs, le32(20, 0x24, 2, 0, 253), { fds: many })).toBe(errno.invalid);
});

test.each([
  ["maxMessageFds", 0],
  ["maxMessageFds", 17],
  ["maxTransfer", 4095],
  ["maxTransfer", 2 ** 27],
  ["maxDmaMaps", 65536],
  ["maxMappedBytes", -1],
  ["maxMappedBytes", NaN],
] as const)("a limit that cannot be is refused: %s %d", (name, value) => {
  const socket = join(box.path, "socket");
  expect(() => serveDevice(makeDevice, { socket, limits: { [name]: value } })).toThrow(RangeError);
  expect(defaultLimits[name]).not.toBe(value);
});

describe("memory that a client could take away", () => {
  const transfer = async (): Promise<number> => {
    const write = (offset: number, value: number): Promise<number> =>
      error(Command.regionWrite, joined(access(offset, 4), le32(value)));
    await write(socketRegister.length, 4);
    await write(socketRegister.command, 1);
    const { body } = await peer.ask(Command.regionRead, access(socketRegister.status, 4));
    return new DataView(body.buffer).getUint32(16, true);
  };

  test("is sealed against it: a memfd cannot be made smaller once it is mapped", async () => {
    await serve();
    using file = unsealedFile(8192);
    expect(await error(Command.dmaMap, map(0, 4096), { fds: [file.fd] })).toBe(0);
    expect(() => ftruncateSync(file.fd, 0)).toThrow("EPERM");
    expect(await transfer()).toBe(0);
  });

  test("that is taken away between the look at its size and the seal is not mapped", async () => {
    await serve();
    using file = unsealedFile(8192);
    let looks = 0;
    using _ = traceSyscalls(({ name }) => {
      if (name === "fstat" && looks++ === 0) ftruncateSync(file.fd, 4096);
    });
    expect(await error(Command.dmaMap, map(0, 8192), { fds: [file.fd] })).toBe(errno.invalid);
    expect(looks).toBe(2);
  });

  test("is refused with `sealedOnly`: a file that cannot be sealed, or is sealed against that", async () => {
    const path = box.write("memory", "x".repeat(8192));
    const fd = openSync(path, "r+");
    await serve({ sealedOnly: true });
    expect(await error(Command.dmaMap, map(0, 4096), { fds: [fd] })).toBe(errno.permission);
    using file = new MemoryFile({ size: 8192, name: "memory" });
    expect(await error(Command.dmaMap, map(0, 4096), { fds: [file.fd] })).toBe(0);
    peer[Symbol.dispose]();
    await server!.stop();
    // It is taken where that is not asked: the client answers for it.
    await serve();
    expect(await error(Command.dmaMap, map(0, 4096), { fds: [fd] })).toBe(0);
    closeSync(fd);
  });
});
