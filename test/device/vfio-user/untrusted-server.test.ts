// The client against servers that are late, short, wrong or gone: each costs the call or the device, with an error that
// names it, never the process.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { unlinkSync } from "node:fs";
import { join } from "node:path";
import {
  connectDevice,
  type ClientEvent,
  type ConnectOptions,
  type VfioUserClient,
} from "../../../src/device/vfio-user/index.ts";
import { Eventfd, MemoryFile, unixPair } from "../../../src/ffi/index.ts";
import { Sandbox } from "../../support/sandbox.ts";
import type { Misbehaviour, ServerOrders } from "../../support/scripted-server.ts";
import { openDescriptors } from "../../support/descriptors.ts";
import { refusal } from "../../support/refusal.ts";

let box: Sandbox;
let worker: Worker;
const path = (): string => join(box.path, "socket");

/** Starts a server in a thread that does as told, for as many clients as come. */
async function serve(orders: Partial<ServerOrders> & { misbehaviour: Misbehaviour }): Promise<void> {
  worker = new Worker(new URL("../../support/scripted-server.ts", import.meta.url).href);
  const ready = new Promise((resolve) => worker.addEventListener("message", resolve, { once: true }));
  worker.postMessage({ path: path(), ...orders } satisfies ServerOrders);
  await ready;
}

beforeEach(() => void (box = new Sandbox()));
afterEach(() => {
  worker?.terminate();
  box[Symbol.dispose]();
});

const events: ClientEvent[] = [];
const connect = (options: ConnectOptions = {}): VfioUserClient => {
  events.length = 0;
  return connectDevice(path(), {
    name: "device",
    timeout: 3000,
    keepAlive: true,
    onEvent: (event) => events.push(event),
    ...options,
  });
};
const read = (device: VfioUserClient, size = 4): Uint8Array => {
  const data = new Uint8Array(size);
  device.read(0, 0, data);
  return data;
};

describe("an answer that costs the call alone", () => {
  test.each([
    ["refused", "EACCES"],
    ["refused-without-errno", "EIO"],
    ["short", "EPROTO"],
    ["wrong-count", "EPROTO"],
    ["header-only", "EPROTO"],
  ] as const)("%s: %s", async (misbehaviour, code) => {
    await serve({ misbehaviour });
    using device = connect();
    const error = refusal(() => read(device));
    expect(error).toMatchObject({ code, device: "device" });
    expect(error.message).toContain("REGION_READ of 4 bytes at BAR0 0x0");
    expect(device.gone).toBe(false);
    // A config access of this server is right.
    device.read(7, 0, new Uint8Array(4));
    expect(events).toEqual([]);
  });
});

describe("an answer that leaves nothing to go on with", () => {
  test.each([
    ["wrong-id", "EPROTO"],
    ["wrong-command", "EPROTO"],
    ["tiny-size", "EPROTO"],
    ["huge-size", "EPROTO"],
    ["closes", "EPIPE"],
    ["closes-midway", "EPIPE"],
  ] as const)("%s: %s", async (misbehaviour, code) => {
    await serve({ misbehaviour });
    using device = connect();
    expect(refusal(() => read(device)).code).toBe(code);
    expect(refusal(() => read(device))).toMatchObject({ code: "ENODEV", errno: 19 });
    expect(refusal(() => device.reset()).code).toBe("ENODEV");
    expect(device.gone).toBe(true);
    expect(events.map(({ kind }) => kind)).toEqual(["device-gone"]);
  });
});

describe("a server that is silent", () => {
  test("costs the time limit once; then the device is gone", async () => {
    await serve({ misbehaviour: "silent" });
    using device = connect({ timeout: 100 });
    const start = performance.now();
    const error = refusal(() => read(device));
    expect(error).toMatchObject({
      code: "ETIMEDOUT",
      message: "device does not answer REGION_READ of 4 bytes at BAR0 0x0 within 100 ms",
    });
    expect(performance.now() - start).toBeLessThan(2000);
    expect(refusal(() => read(device)).code).toBe("ENODEV");
    expect(events).toHaveLength(1);
  });

  test("in the middle of an answer is given up in the same time", async () => {
    await serve({ misbehaviour: "dribbles" });
    using device = connect({ timeout: 200 });
    const start = performance.now();
    expect(refusal(() => read(device)).code).toBe("ETIMEDOUT");
    expect(performance.now() - start).toBeLessThan(2000);
  });

  test("for a while, where that is granted: the late answer is dropped and the device goes on", async () => {
    await serve({ misbehaviour: "late", delay: 300 });
    using device = connect({ timeout: 100, grace: 10_000 });
    expect(refusal(() => read(device)).code).toBe("ETIMEDOUT");
    expect(device.gone).toBe(false);
    await Bun.sleep(400);
    const config = new Uint8Array(4);
    device.read(7, 0, config);
    expect([...config]).toEqual([7, 7, 7, 7]);
    expect(events).toEqual([]);
  });

  test("for longer than is granted is gone", async () => {
    await serve({ misbehaviour: "silent" });
    using device = connect({ timeout: 50, grace: 100 });
    expect(refusal(() => read(device)).code).toBe("ETIMEDOUT");
    await Bun.sleep(150);
    expect(refusal(() => read(device))).toMatchObject({ code: "ETIMEDOUT" });
    expect(device.gone).toBe(true);
  });
});

describe("requests of the server's in place of an answer", () => {
  test("without end are cut off by the time limit", async () => {
    await serve({ misbehaviour: "asks-without-end" });
    using device = connect({ timeout: 300, twinSocket: false });
    expect(refusal(() => read(device)).code).toBe("ETIMEDOUT");
    expect(device.gone).toBe(true);
  });

  test("that are no DMA are refused, and the answer is taken", async () => {
    await serve({ misbehaviour: "asks-nonsense" });
    using device = connect();
    expect([...read(device)]).toEqual([7, 7, 7, 7]);
  });
});

describe("what a server says of its device", () => {
  test.each([
    ["version-major", "EPROTO"],
    ["version-text", "EPROTO"],
    ["version-twin-without-socket", "EPROTO"],
    ["version-refused", "EINVAL"],
    ["not-pci", "EPROTO"],
    ["many-regions", "EPROTO"],
    ["region-of-another-index", "EPROTO"],
    ["region-caps-loop", "EPROTO"],
    ["region-caps-outside", "EPROTO"],
    ["region-many-areas", "EPROTO"],
    ["region-huge", "EPROTO"],
    ["region-grows", "EPROTO"],
    ["irq-of-another-index", "EPROTO"],
    ["irq-many", "EPROTO"],
  ] as const)("%s is refused: %s, with nothing left open", async (misbehaviour, code) => {
    await serve({ misbehaviour });
    const before = openDescriptors().length;
    expect(refusal(() => connect()).code).toBe(code);
    // The thread's end of the connection goes with it.
    for (let tries = 0; tries < 200 && openDescriptors().length > before; tries++) await Bun.sleep(5);
    expect(openDescriptors().length).toBeLessThanOrEqual(before);
  });

  test("regions and interrupts that it refuses are absent", async () => {
    await serve({ misbehaviour: "refuses-infos" });
    using device = connect();
    expect(device.regions.map(({ size }) => size)).toEqual(Array.from({ length: 9 }, () => 0));
    expect(device.irqs.map(({ count }) => count)).toEqual([0, 0, 0, 0, 0]);
  });

  test("a file that is smaller than the region is not mapped", async () => {
    await serve({ misbehaviour: "small-file" });
    using device = connect();
    expect(device.regions[1]).toMatchObject({ size: 65536, mappable: true });
    expect(refusal(() => device.map(1, { offset: 4096, size: 4096 }))).toMatchObject({
      code: "EINVAL",
      message: expect.stringContaining("the server's file ends at 4096"),
    });
    using mapping = device.map(1, { offset: 0, size: 4096 });
    expect(mapping.size).toBe(4096);
  });

  test("more descriptors than a message needs are closed", async () => {
    await serve({ misbehaviour: "many-fds" });
    {
      using device = connect();
      read(device);
      read(device);
    }
    const before = openDescriptors().length;
    for (let i = 0; i < 5; i++) {
      using device = connect();
      for (let n = 0; n < 10; n++) read(device);
    }
    for (let tries = 0; tries < 200 && openDescriptors().length > before; tries++) await Bun.sleep(5);
    expect(openDescriptors().length).toBeLessThanOrEqual(before);
  });
});

test("who does not speak the protocol at all is given up in time", () => {
  const [mine, theirs] = unixPair("nobody");
  using _theirs = theirs;
  expect(refusal(() => connectDevice(mine.fd, { timeout: 100 })).code).toBe("ETIMEDOUT");
});

test("reconnect: the device comes back with maps, interrupts, COMMAND and BARs, and says that it was reset", async () => {
  await serve({ misbehaviour: "remembers" });
  using eventfd = new Eventfd();
  using file = new MemoryFile({ size: 8192, name: "RAM" });
  using memory = file.map();
  using device = connect({ reconnect: { interval: 50, limit: 20_000 } });
  device.dma.map({ iova: 0x1000, size: 8192, hva: memory.address, file: { fd: file.fd, offset: 0 } });
  device.setIrqs({ index: 2, action: "trigger", start: 1, data: { kind: "eventfd", fds: [eventfd.fd] } });
  device.write(7, 0x10, Uint8Array.of(0, 0, 0xd0, 0xfe));
  device.write(7, 0x04, Uint8Array.of(6, 0));
  const before = worker;
  // The old one takes its socket with it; the new one listens at the same path.
  expect(refusal(() => device.write(0, 0xff0, Uint8Array.of(1, 2, 3, 4))).code).toBe("EPIPE");
  expect(refusal(() => read(device)).code).toBe("ENODEV");
  before.terminate();
  unlinkSync(path());
  await serve({ misbehaviour: "remembers" });
  for (let tries = 0; tries < 2000 && events.length < 2; tries++) await Bun.sleep(10);
  expect(events.map(({ kind }) => kind)).toEqual(["device-gone", "device-was-reset"]);
  const told = new Uint8Array(64);
  device.read(1, 0, told);
  // Commands of the new connection that change something, in order: a map, a BAR, COMMAND, vector 0 without an eventfd, vector 1 with.
  expect([...told].slice(0, [...told].indexOf(0))).toEqual([2, 10, 10, 8, 8]);
  expect([...new Uint8Array(told.buffer, 32, 8)]).toEqual([0, 0, 0xd0, 0xfe, 6, 0, 0, 0]);
});
