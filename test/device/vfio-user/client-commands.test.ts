// Each command that a client sends, byte by byte, and what it makes of the answers; each that a server may send it.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { ftruncateSync, openSync } from "node:fs";
import type { ConnectOptions, VfioUserClient } from "../../../src/device/vfio-user/index.ts";
import { Command } from "../../../src/device/vfio-user/messages/header.ts";
import { AnonymousMemory, Eventfd, FileDescriptor, MemoryFile } from "../../../src/ffi/index.ts";
import type { IrqRequest } from "../../../src/regs/vfio/irqs.ts";
import { PreparedServer } from "../../support/prepared-server.ts";
import { joined, le32, le64, readU32, versionBody } from "../../support/raw-peer.ts";
import { Sandbox } from "../../support/sandbox.ts";
import { unsealedFile } from "../../support/unsealed-file.ts";
import type { Heard } from "../../support/speaker.ts";
import { refusal } from "../../support/refusal.ts";

let server: PreparedServer;
let device: VfioUserClient | undefined;
beforeEach(() => {
  server = new PreparedServer();
  device = undefined;
});
afterEach(() => {
  server[Symbol.dispose]();
  device?.[Symbol.dispose]();
});

/** Connects, and forgets what that took. */
const connected = (capabilities?: object, options?: ConnectOptions): VfioUserClient => {
  server.introduce(capabilities);
  device = server.connect(options);
  server.heard();
  return device;
};
const asked = (heard: readonly Heard[], command: number): Heard[] =>
  heard.filter((one) => one.command === command && !one.isReply);
const bodies = (heard: readonly Heard[]): Uint8Array[] => heard.map(({ body }) => body);

test("all requests of a connection: VERSION, what the device is, its regions, its interrupts, each once", () => {
  server.introduce();
  device = server.connect();
  const heard = server.heard();
  expect(heard.map(({ command }) => command)).toEqual([1, 4, ...Array(9).fill(5), ...Array(5).fill(7)]);
  expect(heard.map(({ id }) => id)).toEqual(heard.map((_, i) => i + 1));
  expect(heard.every(({ flags, fds }) => flags === 0 && fds === 0)).toBe(true);
});

describe("VERSION", () => {
  test("proposes 0.1 with JSON that ends in a NUL", () => {
    server.introduce();
    device = server.connect({ twinSocket: true });
    const [{ body }] = asked(server.heard(), Command.version) as [Heard];
    expect([...body.slice(0, 4)]).toEqual([0, 0, 1, 0]);
    expect(body.at(-1)).toBe(0);
    expect(JSON.parse(new TextDecoder().decode(body.slice(4, -1)))).toEqual({
      capabilities: {
        ...{ max_msg_fds: 16, max_data_xfer_size: 2 ** 20, pgsizes: 4096 },
        twin_socket: { supported: true, fd_index: 0 },
      },
    });
  });

  test("answered without JSON means the specification's defaults", () => {
    server.answer(Command.version, Uint8Array.of(0, 0, 0, 0));
    server.answer(Command.deviceInfo, le32(16, 2, 0, 0));
    device = server.connect();
    expect(device.server).toMatchObject({ maxMessageFds: 1, maxTransfer: 2 ** 20, maxDmaMaps: 65535 });
  });

  test.each([
    ["a newer minor version", versionBody({}, 2)],
    ["JSON without a NUL", joined(Uint8Array.of(0, 0, 0, 0), new TextEncoder().encode("{}"))],
    ["three bytes", Uint8Array.of(0, 0, 0)],
  ])("answered with %s ends the connection", (_, body) => {
    server.answer(Command.version, body);
    expect(refusal(() => server.connect()).code).toBe("EPROTO");
  });
});

describe("DEVICE_GET_INFO", () => {
  test("asks with 16 bytes, and takes what it is told", () => {
    server.introduce();
    device = server.connect();
    expect(bodies(asked(server.heard(), Command.deviceInfo))).toEqual([le32(16, 0, 0, 0)]);
    expect(device.resettable).toBe(true);
  });
  test.each([
    ["short", le32(16, 2, 9), "EPROTO"],
    ["of no PCI device", le32(16, 1, 9, 5), "EPROTO"],
    ["of more regions than there can be", le32(16, 2, 2 ** 31, 5), "EPROTO"],
  ])("an answer that is %s ends the connection", (_, body, code) => {
    server.answer(Command.version, versionBody());
    server.answer(Command.deviceInfo, body);
    expect(refusal(() => server.connect()).code).toBe(code);
  });
});

describe("DEVICE_GET_REGION_INFO", () => {
  test("asks for each region, and again with room where the answer says how much it takes", () => {
    using file = new MemoryFile({ size: 8192, name: "BAR0" });
    const fixed = (flags: number, capOffset: number): Uint8Array =>
      joined(le32(64, flags, 0, capOffset), le64(8192, 0));
    server.answer(Command.version, versionBody());
    server.answer(Command.deviceInfo, le32(16, 2, 1, 0));
    server.answer(Command.regionInfo, fixed(7, 0));
    const areas = joined(le32(1 + 2 ** 16, 0, 1, 0), le64(4096, 4096));
    server.answer(Command.regionInfo, joined(fixed(15, 32), areas), { fds: [file.fd] });
    device = server.connect();
    expect(device.regions[0]).toMatchObject({
      size: 8192,
      mappable: true,
      sparse: [{ offset: 4096, size: 4096 }],
    });
    expect(bodies(asked(server.heard(), Command.regionInfo))).toEqual(
      [32, 64].map((argsz) => joined(le32(argsz, 0, 0, 0), le64(0, 0))),
    );
  });

  test("a region that is refused is absent; one that can be mapped without a descriptor cannot be mapped", () => {
    server.answer(Command.version, versionBody());
    server.answer(Command.deviceInfo, le32(16, 2, 2, 0));
    server.answer(Command.regionInfo, new Uint8Array(), { error: 22 });
    server.answer(Command.regionInfo, joined(le32(32, 7, 1, 0), le64(4096, 0)));
    device = server.connect();
    expect(device.regions.slice(0, 2).map(({ size, mappable }) => [size, mappable])).toEqual([
      [0, false],
      [4096, false],
    ]);
  });
});

describe("DEVICE_GET_REGION_INFO's descriptor", () => {
  const sharing = (fd: number, options?: ConnectOptions): VfioUserClient => {
    server.answer(Command.version, versionBody());
    server.answer(Command.deviceInfo, le32(16, 2, 1, 0));
    server.answer(Command.regionInfo, joined(le32(32, 7, 0, 0), le64(8192, 0)), { fds: [fd] });
    return (device = server.connect(options));
  };

  test("of a memfd is sealed before it is mapped: the server cannot take the memory away", () => {
    using file = unsealedFile(8192);
    using mapping = sharing(file.fd).map(0, { offset: 4096, size: 4096 });
    expect(() => ftruncateSync(file.fd, 0)).toThrow("EPERM");
    expect(mapping.registers.read32(0)).toBe(0);
  });

  test("of a file that is smaller by then is not mapped", () => {
    using file = unsealedFile(8192);
    const client = sharing(file.fd);
    ftruncateSync(file.fd, 4096);
    expect(refusal(() => client.map(0, { offset: 4096, size: 4096 })).code).toBe("EINVAL");
  });

  test("of what cannot be sealed is refused with `sealedOnly`, and mapped without", () => {
    using box = new Sandbox();
    using file = new FileDescriptor(openSync(box.write("memory", "x".repeat(8192)), "r+"), "memory");
    expect(
      refusal(() => sharing(file.fd, { sealedOnly: true }).map(0, { offset: 0, size: 4096 })),
    ).toMatchObject({
      code: "EPERM",
      message: expect.stringContaining("the server could take the memory away"),
    });
    device![Symbol.dispose]();
    server[Symbol.dispose]();
    server = new PreparedServer();
    using mapping = sharing(file.fd).map(0, { offset: 0, size: 4096 });
    expect(mapping.registers.read8(0)).toBe("x".charCodeAt(0));
  });
});

describe("DEVICE_GET_IRQ_INFO", () => {
  test("asks for each interrupt, and takes flags and count", () => {
    server.answer(Command.version, versionBody());
    server.answer(Command.deviceInfo, le32(16, 2, 0, 2));
    server.answer(Command.irqInfo, le32(16, 7, 0, 1));
    server.answer(Command.irqInfo, le32(16, 9, 1, 32));
    device = server.connect();
    expect(bodies(asked(server.heard(), Command.irqInfo))).toEqual([le32(16, 0, 0, 0), le32(16, 0, 1, 0)]);
    expect(device.irqs.slice(0, 2)).toEqual([
      { index: 0, count: 1, eventfd: true, maskable: true, automasked: true, noResize: false },
      { index: 1, count: 32, eventfd: true, maskable: false, automasked: false, noResize: true },
    ]);
  });
});

describe("DEVICE_SET_IRQS", () => {
  /** Has a request answered, and tells what was sent. */
  const sent = (client: VfioUserClient, request: IrqRequest, messages = 1): [Uint8Array, number][] => {
    for (let i = 0; i < messages; i++) server.answer(Command.setIrqs);
    client.setIrqs(request);
    return asked(server.heard(), Command.setIrqs).map(({ body, fds }) => [body, fds]);
  };
  const on = { index: 2, action: "trigger" } as const;

  test("sends each kind of data: none, booleans in the body, eventfds beside it", () => {
    using eventfd = new Eventfd();
    const client = connected();
    expect(sent(client, { ...on, start: 0, data: { kind: "none", count: 0 } })).toEqual([
      [le32(20, 0x21, 2, 0, 0), 0],
    ]);
    expect(sent(client, { ...on, start: 1, data: { kind: "bool", values: [true, false] } })).toEqual([
      [joined(le32(22, 0x22, 2, 1, 2), Uint8Array.of(1, 0)), 0],
    ]);
    expect(sent(client, { ...on, start: 3, data: { kind: "eventfd", fds: [eventfd.fd] } })).toEqual([
      [le32(20, 0x24, 2, 3, 1), 1],
    ]);
    expect(sent(client, { ...on, action: "mask", start: 0, data: { kind: "none", count: 1 } })).toEqual([
      [le32(20, 0x09, 2, 0, 1), 0],
    ]);
  });

  test("has at most as many descriptors in a message as the server takes, all or none", () => {
    using eventfd = new Eventfd();
    const client = connected({ max_msg_fds: 2 });
    const { fd } = eventfd;
    expect(
      sent(client, { ...on, start: 0, data: { kind: "eventfd", fds: [fd, fd, fd, -1, -1, fd] } }, 4),
    ).toEqual([
      [le32(20, 0x24, 2, 0, 2), 2],
      [le32(20, 0x24, 2, 2, 1), 1],
      [le32(20, 0x24, 2, 3, 2), 0],
      [le32(20, 0x24, 2, 5, 1), 1],
    ]);
  });

  test("takes eventfds away, or asks without any, in one message for all vectors", () => {
    const client = connected({ max_msg_fds: 2 });
    const fds = new Array<number>(7).fill(-1);
    expect(sent(client, { ...on, start: 0, data: { kind: "eventfd", fds } })).toEqual([
      [le32(20, 0x24, 2, 0, 7), 0],
    ]);
  });

  test("refused names the request", () => {
    const client = connected();
    server.answer(Command.setIrqs, new Uint8Array(), { error: 22 });
    expect(
      refusal(() => client.setIrqs({ ...on, start: 0, data: { kind: "none", count: 1 } })),
    ).toMatchObject({
      code: "EINVAL",
      request: "DEVICE_SET_IRQS MSIX trigger none start 0",
    });
  });
});

describe("REGION_READ", () => {
  test("asks for offset, region and count", () => {
    const client = connected();
    server.answer(Command.regionRead, joined(le64(0x80), le32(0, 4), le32(0x12345678)));
    const data = new Uint8Array(4);
    client.read(0, 0x80, data);
    expect(readU32(data, 0)).toBe(0x12345678);
    expect(bodies(server.heard())).toEqual([joined(le64(0x80), le32(0, 4))]);
  });

  test("of more than the server gives at once is several", () => {
    const client = connected({ max_data_xfer_size: 64 });
    for (const [offset, count] of [
      [0, 64],
      [64, 36],
    ] as const)
      server.answer(
        Command.regionRead,
        joined(le64(offset), le32(0, count), new Uint8Array(count).fill(offset + 1)),
      );
    const data = new Uint8Array(100);
    client.read(0, 0, data);
    expect([data[63], data[64]]).toEqual([1, 65]);
    expect(bodies(server.heard())).toEqual([joined(le64(0), le32(0, 64)), joined(le64(64), le32(0, 36))]);
  });
});

describe("REGION_WRITE", () => {
  test("carries the data, and waits for the answer", () => {
    const client = connected();
    server.answer(Command.regionWrite, joined(le64(0x10), le32(0, 4)));
    client.write(0, 0x10, Uint8Array.of(1, 2, 3, 4));
    expect(server.heard().map(({ body, flags }) => [body, flags])).toEqual([
      [joined(le64(0x10), le32(0, 4), Uint8Array.of(1, 2, 3, 4)), 0],
    ]);
  });

  test("posted asks for no answer; config space is never posted", () => {
    const client = connected(undefined, { postedWrites: true });
    client.write(0, 0x10, Uint8Array.of(1));
    client.write(0, 0x11, Uint8Array.of(2));
    // The next answer is to the request after those two.
    server.heard();
    server.answer(Command.regionWrite);
    server.answer(Command.regionWrite);
    server.answer(Command.regionWrite, joined(le64(4), le32(7, 2)));
    expect(refusal(() => client.write(7, 4, Uint8Array.of(6, 0))).code).toBe("EPROTO");
  });
});

describe("DMA_MAP and DMA_UNMAP", () => {
  test("name the addresses, with a descriptor for memory that has a file and none for other memory", () => {
    using file = new MemoryFile({ size: 8192, name: "RAM" });
    using memory = file.map();
    using other = new AnonymousMemory(4096);
    const client = connected();
    server.answer(Command.dmaMap);
    server.answer(Command.dmaMap);
    client.dma.map({
      iova: 2 ** 32,
      size: 4096,
      hva: memory.address + 4096,
      file: { fd: file.fd, offset: 4096 },
    });
    client.dma.map({ iova: 0x1000, size: 4096, hva: other.address, writable: false });
    expect(server.heard().map(({ command, body, fds }) => [command, body, fds])).toEqual([
      [Command.dmaMap, joined(le32(32, 3), le64(4096, 2 ** 32, 4096)), 1],
      [Command.dmaMap, joined(le32(32, 1), le64(0, 0x1000, 4096)), 0],
    ]);
    server.answer(Command.dmaUnmap, joined(le32(24, 0), le64(0x1000, 4096)));
    client.dma.unmap(0x1000, 4096);
    expect(bodies(server.heard())).toEqual([joined(le32(24, 0), le64(0x1000, 4096))]);
    // For the end, which unmaps the other.
    server.answer(Command.dmaUnmap, joined(le32(24, 0), le64(2 ** 32, 4096)));
  });

  test("refused leave what was: nothing after a map, the map after an unmap", () => {
    using memory = new AnonymousMemory(4096);
    const client = connected();
    const mapping = { iova: 0, size: 4096, hva: memory.address };
    server.answer(Command.dmaMap, new Uint8Array(), { error: 28 });
    expect(refusal(() => client.dma.map(mapping))).toMatchObject({ code: "ENOSPC" });
    expect(client.dma.mappings).toEqual([]);
    server.answer(Command.dmaMap);
    client.dma.map(mapping);
    server.answer(Command.dmaUnmap, new Uint8Array(), { error: 22 });
    expect(refusal(() => client.dma.unmap(0, 4096)).code).toBe("EINVAL");
    expect(client.dma.mappings).toHaveLength(1);
    server.answer(Command.dmaUnmap, joined(le32(24, 0), le64(0, 4096)));
  });
});

test("DEVICE_RESET has no body", () => {
  const client = connected();
  server.answer(Command.reset);
  client.reset();
  expect(server.heard().map(({ command, body }) => [command, body.length])).toEqual([[Command.reset, 0]]);
});

test("DEVICE_FEATURE is probed for both ways", () => {
  const client = connected();
  server.answer(Command.feature, le32(8, 2 + 2 ** 16 + 2 ** 18));
  server.answer(Command.feature, new Uint8Array(), { error: 25 });
  expect(client.probeFeature(2)).toEqual({ get: true, set: false });
  expect(bodies(server.heard())).toEqual([le32(8, 2 + 2 ** 16 + 2 ** 18), le32(8, 2 + 2 ** 17 + 2 ** 18)]);
});

describe("DMA_READ and DMA_WRITE", () => {
  const iova = 0x10000;
  let memory: AnonymousMemory;
  let client: VfioUserClient;
  beforeEach(() => {
    memory = new AnonymousMemory(4 * 4096);
    client = connected();
    for (const [at, page, writable] of [
      [iova, 1, true],
      [iova + 4096, 2, false],
    ] as const) {
      server.answer(Command.dmaMap);
      client.dma.map({ iova: at, size: 4096, hva: memory.address + page * 4096, writable });
    }
    server.heard();
  });
  afterEach(() => {
    for (let i = 0; i < 2; i++) server.answer(Command.dmaUnmap, new Uint8Array(24));
    client[Symbol.dispose]();
    memory[Symbol.dispose]();
  });

  /** Asks while the client waits for something else. @returns the client's answers */
  const served = (
    ...questions: readonly [command: number, body: Uint8Array, options?: object][]
  ): Heard[] => {
    for (const question of questions) server.ask(...question);
    server.answer(Command.reset);
    client.reset();
    return server.heard().filter(({ isReply }) => isReply);
  };

  test("reach what is mapped, across maps; the answers repeat address and count", () => {
    memory.view(2 * 4096 - 2, 4).set([1, 2, 3, 4]);
    const [read, written] = served(
      [Command.dmaRead, le64(iova + 4094, 4)],
      [Command.dmaWrite, joined(le64(iova, 2), Uint8Array.of(9, 8))],
    );
    expect(read).toMatchObject({ id: 0x7777, command: Command.dmaRead, flags: 1 });
    expect(read!.body).toEqual(joined(le64(iova + 4094, 4), Uint8Array.of(1, 2, 3, 4)));
    expect(written!.body).toEqual(le64(iova, 2));
    expect([...memory.view(4096, 2)]).toEqual([9, 8]);
  });

  test("outside of it, read-only memory, too much, too little and descriptors are refused; nothing is touched", () => {
    using eventfd = new Eventfd();
    memory.view(0, 4 * 4096).fill(7);
    const answers = served(
      [Command.dmaRead, le64(iova - 1, 2)],
      [Command.dmaRead, le64(iova + 8191, 2)],
      [Command.dmaRead, le64(2n ** 64n - 1n, 2)],
      [Command.dmaWrite, joined(le64(iova + 4095, 2), Uint8Array.of(1, 1))],
      [Command.dmaRead, le64(iova, 2 ** 20 + 1)],
      [Command.dmaWrite, joined(le64(iova, 3), Uint8Array.of(1, 1))],
      [Command.dmaRead, le64(iova)],
      [Command.dmaRead, le64(iova, 4), { fds: [eventfd.fd] }],
    );
    expect(answers.map(({ isError }) => isError)).toEqual(Array(8).fill(true));
    expect(memory.view(0, 4 * 4096).every((byte) => byte === 7)).toBe(true);
  });

  test("without a reply get none", () => {
    expect(served([Command.dmaWrite, joined(le64(iova, 1), Uint8Array.of(5)), { flags: 0x10 }])).toEqual([]);
    expect(memory.view(4096, 1)[0]).toBe(5);
  });
});

test("DEVICE_GET_REGION_IO_FDS, DIRTY_PAGES, REGION_WRITE_MULTI, MIG_DATA_READ and MIG_DATA_WRITE are never asked, nor done", () => {
  const client = connected();
  const numbers = [
    Command.regionIoFds,
    Command.dirtyPages,
    Command.regionWriteMulti,
    Command.migrationRead,
    Command.migrationWrite,
  ];
  for (const [i, command] of [...numbers, Command.regionRead, 0, 99].entries()) {
    server.ask(command, le64(0, 0), { id: i });
    server.answer(Command.reset);
    client.reset();
    const [, answer] = server.heard();
    // ENOSYS: a server may ask a client for memory alone.
    expect([i, answer?.id, answer?.flags, answer?.command]).toEqual([i, i, 0x21, command]);
  }
  expect(client.gone).toBe(false);
});
