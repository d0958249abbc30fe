// What the controller says of itself: identify data (5.15) and log pages (5.14).
import type { Command } from "./queues.ts";
import { controllerData, namespaceData, page } from "./registers.ts";
import { CommandError, need } from "./status.ts";

const kinds = { namespace: 0, controller: 1, namespaces: 2, descriptors: 3 } as const;
const logs = { errors: 1, health: 2, firmware: 3 } as const;
/** The log that errors are in. */
export const errorLog = logs.errors;
const [temperature, spare, leastSpare] = [300, 100, 10];

const text = (into: Uint8Array, at: number, size: number, value: string): void =>
  void new TextEncoder().encodeInto(value.padEnd(size), into.subarray(at, at + size));

/** Its data. @param serial up to 20 characters @throws CommandError for a kind, or a namespace, that there is not */
export function identify(kind: number, namespace: number, serial: string, blocks: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(page));
  if (kind === kinds.controller) {
    bytes.set(controllerData.masks.reset);
    text(bytes, 4, 20, serial);
    text(bytes, 24, 40, "Bun NVMe Ctrl");
    text(bytes, 64, 8, "1");
    new TextEncoder().encodeInto(`nqn.2019-08.bun-vfio:${serial}`, bytes.subarray(768, 1023));
  } else if (kind === kinds.namespaces) {
    need(namespace < 0xffff_fffe, "invalidNamespace");
    if (namespace === 0) bytes[0] = 1;
  } else {
    need(kind === kinds.namespace || kind === kinds.descriptors, "invalidField");
    need(namespace === 1, "invalidNamespace");
    if (kind === kinds.namespace) {
      bytes.set(namespaceData.masks.reset);
      const view = namespaceData.view(new DataView(bytes.buffer));
      view.sizeLow = view.capacityLow = view.usedLow = blocks;
    } else {
      // The one name of it: a UUID, of a version for one's own ways to make it.
      const id = Uint8Array.fromHex(new Bun.CryptoHasher("sha256").update(serial).digest("hex"));
      [id[6], id[8]] = [0x80 | (id[6]! & 0x0f), 0x80 | (id[8]! & 0x3f)];
      bytes.set([3, 16, 0, 0, ...id.subarray(0, 16)]);
    }
  }
  return bytes;
}

/** The log of errors, of which it keeps the last, and others. */
export class Logs {
  /** How many there were, the last one's queue, command and status. */
  errors: [count: number, queue: number, id: number, status: number] = [0, 0, 0, 0];

  add({ queue, entry }: Command, code: number): void {
    this.errors = [this.errors[0] + 1, queue.id, entry.commandId, code << 1];
  }

  /** @throws CommandError for one that there is not */
  read(log: number): Uint8Array {
    const memory = new DataView(new ArrayBuffer(log === logs.errors ? 64 : 512));
    const bytes = new Uint8Array(memory.buffer);
    if (log === logs.errors) {
      const [count, ...words] = this.errors;
      memory.setBigUint64(0, BigInt(count), true);
      for (const [i, word] of words.entries()) memory.setUint16(8 + 2 * i, word, true);
    } else if (log === logs.health) bytes.set([0, temperature & 0xff, temperature >>> 8, spare, leastSpare]);
    // The first slot is the one that runs.
    else if (log === logs.firmware) bytes.set([1, 0, 0, 0, 0, 0, 0, 0, "1".charCodeAt(0)]);
    else throw new CommandError("invalidLogPage");
    return bytes;
  }
}
