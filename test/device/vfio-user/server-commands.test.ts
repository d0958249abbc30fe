// Each command that a client can send, against a server on the event loop: what it is answered, and when it is refused.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Eventfd, MemoryFile } from "../../../src/ffi/index.ts";
import { serveDevice, type DeviceServer, type ServerEvent } from "../../../src/device/vfio-user/index.ts";
import { Command } from "../../../src/device/vfio-user/messages/header.ts";
import { joined, le32, le64, RawPeer, readU32, versionBody } from "../../support/raw-peer.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { SocketDevice, socketDeviceId, socketRegister } from "../../support/socket-device.ts";

const errno = {
  none: 0,
  permission: 1,
  noMemory: 14,
  exists: 17,
  invalid: 22,
  noFeature: 25,
  noSpace: 28,
  noCommand: 38,
  notSupported: 95,
};

let box: Sandbox;
let server: DeviceServer;
let device: SocketDevice;
let peer: RawPeer;
let events: ServerEvent[];

beforeEach(async () => {
  box = new Sandbox();
  events = [];
  const socket = join(box.path, "socket");
  server = serveDevice((environment) => (device = new SocketDevice(environment)), {
    socket,
    onEvent: (event) => events.push(event),
  });
  peer = new RawPeer(socket);
  await peer.hello();
});
afterEach(async () => {
  peer[Symbol.dispose]();
  await server.stop();
  box[Symbol.dispose]();
});

const error = async (...args: Parameters<RawPeer["ask"]>): Promise<number> => (await peer.ask(...args)).error;
const access = (region: number, offset: number | bigint, count: number): Uint8Array =>
  joined(le64(offset), le32(region, count));
const map = (iova: number | bigint, size: number | bigint, { flags = 3, offset = 0 } = {}): Uint8Array =>
  joined(le32(32, flags), le64(offset, iova, size));
const unmap = (iova: number | bigint, size: number | bigint, flags = 0): Uint8Array =>
  joined(le32(24, flags), le64(iova, size));
const readBar0 = async (offset: number): Promise<number> =>
  readU32((await peer.ask(Command.regionRead, access(0, offset, 4))).body, 16);
const writeBar0 = (offset: number, value: number): Promise<number> =>
  error(Command.regionWrite, joined(access(0, offset, 4), le32(value)));

describe("VERSION", () => {
  const greet = async (body: Uint8Array): Promise<string | number> => {
    peer[Symbol.dispose]();
    peer = new RawPeer(join(box.path, "socket"));
    const { error: code, body: answer } = await peer.ask(Command.version, body);
    return code === 0 ? new TextDecoder().decode(answer.subarray(4)) : code;
  };

  test("is answered with what QEMU takes: 0.0 for 0.0, at most 193 characters and a NUL", async () => {
    const json = await greet(versionBody({ max_msg_fds: 16, write_multiple: true }, 0));
    expect(String(json).length).toBeLessThanOrEqual(194);
    expect(json).toEndWith("\0");
    expect(JSON.parse(String(json).slice(0, -1))).toEqual({
      capabilities: {
        max_msg_fds: 16,
        max_data_xfer_size: 2 ** 20,
        max_dma_maps: 65535,
        pgsizes: 4096,
        write_multiple: true,
      },
    });
  });

  test("without JSON is answered with JSON, and nothing that was not proposed", async () => {
    const json = String(await greet(Uint8Array.of(0, 0, 1, 0)));
    expect(json).not.toContain("write_multiple");
    expect(json).not.toContain("twin_socket");
  });

  test("with a twin socket gets one, in the answer's descriptor that it names", async () => {
    peer[Symbol.dispose]();
    peer = new RawPeer(join(box.path, "socket"));
    const { body, fds } = await peer.hello({ twin_socket: { supported: true } });
    expect(new TextDecoder().decode(body.subarray(4))).toContain(
      '"twin_socket":{"supported":true,"fd_index":0}',
    );
    expect(fds).toHaveLength(1);
    fds[0]![Symbol.dispose]();
  });

  const wrong: Record<string, Uint8Array> = {
    "of another major version": joined(Uint8Array.of(1, 0, 0, 0), versionBody().subarray(4)),
    "of three bytes": Uint8Array.of(0, 0, 0),
    "whose JSON has no NUL": joined(Uint8Array.of(0, 0, 0, 0), new TextEncoder().encode("{}")),
    "whose text is no JSON": joined(Uint8Array.of(0, 0, 0, 0), new TextEncoder().encode("{,}\0")),
    "whose JSON is no object": joined(Uint8Array.of(0, 0, 0, 0), new TextEncoder().encode("[]\0")),
    "with a number for a text": versionBody({ max_msg_fds: "16" }),
    "with a limit below 0": versionBody({ max_dma_maps: -1 }),
    "with a twin socket that is no object": versionBody({ twin_socket: true }),
  };
  for (const [name, body] of Object.entries(wrong))
    test(`${name} is refused, and the connection ends`, async () => {
      expect(await greet(body)).toBe(errno.invalid);
      expect(await peer.receive()).toBeUndefined();
    });

  test("a second time is refused, and the connection goes on", async () => {
    expect(await error(Command.version, versionBody())).toBe(errno.invalid);
    expect(await readBar0(0)).toBe(socketDeviceId);
  });

  test("has to come first", async () => {
    peer[Symbol.dispose]();
    peer = new RawPeer(join(box.path, "socket"));
    expect(await error(Command.reset)).toBe(errno.invalid);
    expect(await peer.receive()).toBeUndefined();
  });
});

describe("DEVICE_GET_INFO", () => {
  test("tells of a PCI device with reset, nine regions and five interrupts", async () => {
    const { body } = await peer.ask(Command.deviceInfo, le32(16, 0, 0, 0));
    expect([...new Uint32Array(body.buffer)]).toEqual([16, 3, 9, 5]);
  });
  test("takes an argsz that counts the header, and no smaller one", async () => {
    expect(await error(Command.deviceInfo, le32(32, 0, 0, 0))).toBe(0);
    expect(await error(Command.deviceInfo, le32(8, 0, 0, 0))).toBe(errno.invalid);
    expect(await error(Command.deviceInfo)).toBe(errno.invalid);
  });
});

describe("DEVICE_GET_REGION_INFO", () => {
  const info = (index: number, argsz = 32): Uint8Array => joined(le32(argsz, 0, index, 0), le64(0, 0));

  test("tells of each region, absent ones too, and refuses others", async () => {
    const sizes: number[] = [];
    for (let index = 0; index < 9; index++)
      sizes.push(readU32((await peer.ask(Command.regionInfo, info(index))).body, 16));
    expect(sizes).toEqual([4096, 12288, 0, 0, 0, 0, 0, 256, 0]);
    expect(await error(Command.regionInfo, info(9))).toBe(errno.invalid);
    expect(await error(Command.regionInfo, info(0, 16))).toBe(errno.invalid);
    expect(await error(Command.regionInfo, le32(32, 0))).toBe(errno.invalid);
  });

  test("has the sparse areas and a descriptor where there is room, and says how much is needed where not", async () => {
    const short = await peer.ask(Command.regionInfo, info(1));
    expect([...new Uint32Array(short.body.buffer).slice(0, 4)]).toEqual([80, 7, 1, 0]);
    expect(short.fds).toHaveLength(0);
    const whole = await peer.ask(Command.regionInfo, info(1, 80));
    expect([...new Uint32Array(whole.body.buffer).slice(0, 4)]).toEqual([80, 15, 1, 32]);
    expect(whole.body).toHaveLength(80);
    expect([...new BigUint64Array(whole.body.buffer).slice(6)]).toEqual([0n, 4096n, 8192n, 4096n]);
    expect(whole.fds).toHaveLength(1);
    whole.fds[0]![Symbol.dispose]();
  });

  test("takes a body that is longer than it needs", async () => {
    const body = joined(info(0, 4064), new Uint8Array(4032));
    expect(await error(Command.regionInfo, body)).toBe(0);
  });
});

test("DEVICE_GET_REGION_IO_FDS is refused: in words where it is right, as invalid where it is not", async () => {
  expect(await error(Command.regionIoFds, le32(16, 0, 0, 0))).toBe(errno.notSupported);
  for (const wrong of [le32(16, 1, 0, 0), le32(16, 0, 0, 1), le32(8, 0, 0, 0), le32(16, 0, 99, 0), le32(16)])
    expect(await error(Command.regionIoFds, wrong)).toBe(errno.invalid);
});

test("DEVICE_GET_IRQ_INFO tells of each interrupt, and refuses others", async () => {
  const told: number[][] = [];
  for (let index = 0; index < 5; index++)
    told.push([...new Uint32Array((await peer.ask(Command.irqInfo, le32(16, 0, index, 0))).body.buffer)]);
  expect(told).toEqual([
    [16, 7, 0, 1],
    [16, 0, 1, 0],
    [16, 1, 2, 4],
    [16, 0, 3, 0],
    [16, 0, 4, 0],
  ]);
  expect(await error(Command.irqInfo, le32(16, 0, 5, 0))).toBe(errno.invalid);
  expect(await error(Command.irqInfo, le32(12, 0, 0))).toBe(errno.invalid);
});

describe("DEVICE_SET_IRQS", () => {
  const set = (flags: number, index: number, start: number, count: number): Uint8Array =>
    le32(20, flags, index, start, count);

  test("gives eventfds to vectors, fires them, and takes them away", async () => {
    using first = new Eventfd();
    using second = new Eventfd();
    const fds = [first.fd, second.fd];
    expect(await error(Command.setIrqs, set(0x24, 2, 1, 2), { fds })).toBe(0);
    expect(device.armed).toEqual(["2.1", "2.2"]);
    expect(await error(Command.setIrqs, set(0x21, 2, 1, 1))).toBe(0);
    expect([first.drain(), second.drain()]).toEqual([1, 0]);
    expect(await error(Command.setIrqs, joined(set(0x22, 2, 1, 2), Uint8Array.of(0, 1)))).toBe(0);
    expect([first.drain(), second.drain()]).toEqual([0, 1]);
    expect(await error(Command.setIrqs, set(0x24, 2, 1, 1))).toBe(0);
    expect(device.armed).toEqual(["2.2"]);
    expect(await error(Command.setIrqs, set(0x21, 2, 0, 0))).toBe(0);
    expect(device.armed).toEqual([]);
  });

  test("passes masking on, and turns off what was never there", async () => {
    expect(await error(Command.setIrqs, set(0x09, 0, 0, 1))).toBe(0);
    expect(await error(Command.setIrqs, set(0x11, 0, 0, 1))).toBe(0);
    expect(device.requests.map(({ action }) => action)).toEqual(["mask", "unmask"]);
    expect(await error(Command.setIrqs, set(0x21, 1, 0, 0))).toBe(0);
    expect(device.requests).toHaveLength(2);
  });

  test("is refused where it makes no sense, and its descriptors are closed", async () => {
    using event = new Eventfd();
    const none: number[] = [];
    const wrong: [Uint8Array, number[]][] = [
      [set(0x24, 2, 0, 2), [event.fd]],
      [set(0x21, 2, 0, 1), [event.fd]],
      [set(0x24, 2, 3, 2), none],
      [set(0x24, 2, 0xffffffff, 1), none],
      [set(0x24, 9, 0, 1), none],
      [set(0x24, 2, 0, 0), none],
      [set(0x23, 2, 0, 1), none],
      [set(0x20, 2, 0, 1), none],
      [set(0x04, 2, 0, 1), none],
      [set(0x38, 2, 0, 1), none],
      [set(0x61, 2, 0, 1), none],
      [set(0x22, 2, 0, 4), none],
      [le32(20, 0x21, 2, 0), none],
    ];
    for (const [body, fds] of wrong) expect(await error(Command.setIrqs, body, { fds })).toBe(errno.invalid);
    expect(device.requests).toEqual([]);
  });
});

describe("REGION_READ and REGION_WRITE", () => {
  test("reach config space as a whole, and registers of every width", async () => {
    const config = await peer.ask(Command.regionRead, access(7, 0, 256));
    expect([...new Uint32Array(config.body.buffer).slice(0, 4)]).toEqual([0, 0, 7, 256]);
    expect(readU32(config.body, 16)).toBe(0xbeef1234);
    for (const count of [1, 2, 3, 4, 8, 16, 256]) {
      const data = Uint8Array.from({ length: count }, (_, i) => i + count);
      expect(await error(Command.regionWrite, joined(access(0, 0x900, count), data))).toBe(0);
      const { body } = await peer.ask(Command.regionRead, access(0, 0x900, count));
      expect(body.subarray(16)).toEqual(data);
    }
  });

  test("of no bytes succeed and do nothing", async () => {
    expect((await peer.ask(Command.regionRead, access(0, 0, 0))).body).toHaveLength(16);
    expect(await error(Command.regionWrite, access(0, 0, 0))).toBe(0);
    expect(await readBar0(socketRegister.writes)).toBe(0);
  });

  test("outside of a region are refused, at whatever offset", async () => {
    for (const body of [
      access(0, 4096, 1),
      access(0, 4093, 4),
      access(0, 2n ** 64n - 4n, 8),
      access(0, 2n ** 53n, 4),
      access(0, 0, 0xffffffff),
      access(2, 0, 1),
      access(8, 0, 4),
      access(99, 0, 4),
      le64(0),
    ]) {
      expect(await error(Command.regionRead, body)).toBe(errno.invalid);
      expect(await error(Command.regionWrite, body)).toBe(errno.invalid);
    }
    // More bytes announced than there are.
    expect(await error(Command.regionWrite, joined(access(0, 0x900, 8), le32(1)))).toBe(errno.invalid);
  });

  test("that the device refuses come back with its errno, and somebody hears why", async () => {
    expect(await writeBar0(socketRegister.id, 1)).toBe(errno.permission);
    expect(events.at(-1)).toEqual({
      kind: "request-failed",
      command: "REGION_WRITE",
      errno: errno.permission,
      message: "the ID is read-only",
    });
  });

  test("posted writes get no reply, refused ones either, and are done before what follows", async () => {
    const write = (offset: number): Uint8Array => joined(access(0, offset, 4), le32(7));
    for (const offset of [0x900, socketRegister.id, 9999])
      peer.send(Command.regionWrite, write(offset), { flags: 0x10 });
    expect(await readBar0(0x900)).toBe(7);
  });
});

test("REGION_WRITE_MULTI writes in order; what cannot be is refused and the rest is done", async () => {
  const record = (offset: number, count: number, value: number): Uint8Array =>
    joined(le64(offset), le32(0, count), le64(value));
  const writes = joined(record(0x900, 4, 5), record(0x904, 8, 6), record(0x900, 1, 9));
  const { body } = await peer.ask(Command.regionWriteMulti, joined(le64(3), writes));
  expect([...new BigUint64Array(body.buffer)]).toEqual([3n]);
  expect([await readBar0(0x900), await readBar0(0x904)]).toEqual([9, 6]);
  peer.send(Command.regionWriteMulti, joined(le64(1), record(0x900, 4, 77)), { flags: 0x10 });
  expect(await readBar0(0x900)).toBe(77);
  const partly = joined(le64(3), record(0x900, 4, 1), record(9999, 4, 1), record(0x904, 4, 2));
  expect(await error(Command.regionWriteMulti, partly)).toBe(errno.invalid);
  expect([await readBar0(0x900), await readBar0(0x904)]).toEqual([1, 2]);
  for (const wrong of [
    le64(2),
    joined(le64(2), record(0, 4, 1)),
    joined(le64(1), record(0x900, 9, 1)),
    le64(2n ** 63n),
  ])
    expect(await error(Command.regionWriteMulti, wrong)).toBe(errno.invalid);
});

describe("DMA_MAP and DMA_UNMAP", () => {
  const transfer = async (kind: number, iova: number, length: number): Promise<number> => {
    await error(Command.regionWrite, joined(access(0, socketRegister.address, 12), le64(iova), le32(length)));
    await writeBar0(socketRegister.command, kind);
    return await readBar0(socketRegister.status);
  };

  test("share memory by a descriptor, which the device reads and writes", async () => {
    using file = new MemoryFile({ size: 3 * 4096, name: "memory" });
    expect(await error(Command.dmaMap, map(0x10000, 4096, { offset: 4096 }), { fds: [file.fd] })).toBe(0);
    file.writeAt(4096 + 5, Uint8Array.of(1, 2, 3, 4));
    expect(await transfer(1, 0x10005, 4)).toBe(0);
    expect(await readBar0(socketRegister.buffer)).toBe(0x04030201);
    expect(await transfer(2, 0x10ff0, 16)).toBe(0);
    const back = new Uint8Array(4);
    file.readAt(2 * 4096 - 16, back);
    expect([...back]).toEqual([1, 2, 3, 4]);
    expect((await peer.ask(Command.dmaUnmap, unmap(0x10000, 4096))).body).toEqual(
      joined(le32(24, 0), le64(0x10000, 4096)),
    );
    expect(await transfer(1, 0x10000, 4)).toBe(errno.noMemory);
  });

  test("keep what is read-only from being written, and the other way about", async () => {
    using file = new MemoryFile({ size: 8192, name: "memory" });
    await peer.ask(Command.dmaMap, map(0, 4096, { flags: 1 }), { fds: [file.fd] });
    await peer.ask(Command.dmaMap, map(4096, 4096, { flags: 2, offset: 4096 }), { fds: [file.fd] });
    const statuses = [];
    for (const [kind, iova] of [
      [1, 0],
      [2, 0],
      [1, 4096],
      [2, 4096],
      [2, 4090],
    ] as const)
      statuses.push(await transfer(kind, iova, 12));
    expect(statuses).toEqual([0, 13, 13, 0, 13]);
  });

  test("by file I/O read and write the descriptor", async () => {
    using file = new MemoryFile({ size: 4096, name: "memory" });
    expect(await error(Command.dmaMap, map(0, 4096, { flags: 3 + 8 }), { fds: [file.fd] })).toBe(0);
    file.writeAt(8, Uint8Array.of(9, 8, 7, 6));
    expect(await transfer(1, 8, 4)).toBe(0);
    expect(await readBar0(socketRegister.buffer)).toBe(0x06070809);
    expect(await transfer(2, 0, 4)).toBe(0);
    const back = new Uint8Array(4);
    file.readAt(0, back);
    expect([...back]).toEqual([9, 8, 7, 6]);
  });

  test("cross from one map into the next", async () => {
    using file = new MemoryFile({ size: 8192, name: "memory" });
    await peer.ask(Command.dmaMap, map(0, 4096, { offset: 4096 }), { fds: [file.fd] });
    await peer.ask(Command.dmaMap, map(4096, 4096), { fds: [file.fd] });
    file.writeAt(8190, Uint8Array.of(1, 2));
    file.writeAt(0, Uint8Array.of(3, 4));
    expect(await transfer(1, 4094, 4)).toBe(0);
    expect(await readBar0(socketRegister.buffer)).toBe(0x04030201);
  });

  test("are refused where they cannot be", async () => {
    using file = new MemoryFile({ size: 8192, name: "memory" });
    const fds = [file.fd];
    const refused = async (body: Uint8Array, with_: readonly number[] = fds): Promise<number> =>
      await error(Command.dmaMap, body, { fds: with_ });
    expect(await refused(map(0, 0))).toBe(errno.invalid);
    expect(await refused(map(2n ** 64n - 4096n, 8192))).toBe(errno.invalid);
    expect(await refused(map(2n ** 53n, 4096))).toBe(errno.invalid);
    expect(await refused(map(0, 4096, { flags: 16 }))).toBe(errno.invalid);
    expect(await refused(map(0, 4096, { flags: 4 }), [])).toBe(errno.invalid);
    expect(await refused(map(0, 4096, { flags: 8 }), [])).toBe(errno.invalid);
    expect(await refused(map(0, 4096, { flags: 12 }))).toBe(errno.invalid);
    expect(await refused(map(0, 4096), [file.fd, file.fd])).toBe(errno.invalid);
    expect(await refused(map(0, 4096, { offset: 8192 }))).toBe(errno.invalid);
    expect(await refused(map(0, 12288))).toBe(errno.invalid);
    expect(await refused(map(0, 4096, { offset: 8 }))).toBe(errno.invalid);
    expect(await refused(le32(32, 3))).toBe(errno.invalid);
    expect(await refused(map(0, 4096))).toBe(0);
    expect(await refused(map(0, 4096))).toBe(errno.exists);
    expect(await refused(map(2048, 4096))).toBe(errno.exists);
  });

  test("take back what lies in a range, nothing where nothing does, all where that is asked, and cut no map", async () => {
    for (const iova of [0, 0x10000, 0x20000]) await peer.ask(Command.dmaMap, map(iova, 4096));
    expect(await error(Command.dmaUnmap, unmap(0x5000, 0x1000))).toBe(0);
    expect(await error(Command.dmaUnmap, unmap(0x10000, 0x800))).toBe(errno.invalid);
    expect(await error(Command.dmaUnmap, unmap(0x8000, 0x10000))).toBe(0);
    expect(await error(Command.dmaMap, map(0x10000, 4096))).toBe(0);
    expect(await error(Command.dmaMap, map(0x20000, 4096))).toBe(errno.exists);
    expect(await error(Command.dmaUnmap, unmap(0, 4096, 2))).toBe(errno.invalid);
    expect(await error(Command.dmaUnmap, unmap(0, 0, 2))).toBe(0);
    expect(await error(Command.dmaMap, map(0x20000, 4096))).toBe(0);
    expect(await error(Command.dmaUnmap, unmap(0, 4096, 1))).toBe(errno.invalid);
    expect(await error(Command.dmaUnmap, le32(24, 0))).toBe(errno.invalid);
    expect(await error(Command.dmaUnmap, unmap(0, 2n ** 64n - 1n))).toBe(0);
  });

  test("DMA_UNMAP with a descriptor is done, and the descriptor closed", async () => {
    using file = new MemoryFile({ size: 4096, name: "memory" });
    expect(await error(Command.dmaUnmap, unmap(0, 4096), { fds: [file.fd] })).toBe(0);
  });
});

test("DEVICE_RESET resets, and has no body", async () => {
  expect(await error(Command.reset)).toBe(0);
  expect(await error(Command.reset, le32(1))).toBe(errno.invalid);
  expect(device.resets).toBe(1);
});

test("DEVICE_FEATURE of none that is there is refused as the kernel does; what makes no sense as invalid", async () => {
  for (const flags of [1 + 2 ** 16, 2 + 2 ** 17, 1 + 2 ** 16 + 2 ** 18])
    expect(await error(Command.feature, le32(8, flags))).toBe(errno.noFeature);
  for (const flags of [1, 1 + 2 ** 16 + 2 ** 17, 1 + 2 ** 18, 1 + 2 ** 16 + 2 ** 19])
    expect(await error(Command.feature, le32(8, flags))).toBe(errno.invalid);
  expect(await error(Command.feature, le32(8))).toBe(errno.invalid);
});

test("MIG_DATA_READ and MIG_DATA_WRITE are refused in a device that runs", async () => {
  expect(await error(Command.migrationRead, le32(4104, 4096))).toBe(errno.invalid);
  expect(await error(Command.migrationWrite, joined(le32(16, 8), le64(0)))).toBe(errno.invalid);
  expect(await error(Command.migrationRead, le32(4))).toBe(errno.invalid);
});

test("DMA_READ and DMA_WRITE are the server's to send: from a client they are refused", async () => {
  expect(await error(Command.dmaRead, le64(0, 4))).toBe(errno.invalid);
  expect(await error(Command.dmaWrite, joined(le64(0, 4), le32(1)))).toBe(errno.invalid);
});

test("DIRTY_PAGES, which is gone, and commands that never were are refused", async () => {
  expect(await error(Command.dirtyPages, le32(16, 1))).toBe(errno.notSupported);
  for (const command of [0, 19, 99, 0xffff]) expect(await error(command)).toBe(errno.noCommand);
});
