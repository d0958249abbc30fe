// What the controller says of itself: identify data (5.15) and log pages (5.14).
import type { Command } from "./queues.ts";
import { controllerData, namespaceData, page } from "./registers.ts";
import { need } from "./status.ts";

const kinds = { namespace: 0, controller: 1, namespaces: 2, descriptors: 3 } as const;
const logs = { errors: 1, health: 2, firmware: 3 } as const;
/** The log that errors are in. */
export const errorLog = logs.errors;
const [temperature, spare, leastSpare] = [300, 100, 10];
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** Its data. @param serial up to 20 characters @throws CommandError for a kind, or a namespace, that there is not */
export function identify(kind: number, namespace: number, serial: string, blocks: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(page));
  if (kind === kinds.controller) {
    bytes.set(controllerData.masks.reset);
    bytes.set(text(serial.padEnd(20) + "Bun NVMe Ctrl".padEnd(40) + "1".padEnd(8)), 4);
    bytes.set(text(`nqn.2019-08.bun-vfio:${serial}`), 768);
    return bytes;
  }
  if (kind === kinds.namespaces) {
    need(namespace < 0xffff_fffe, "invalidNamespace");
    if (namespace === 0) bytes[0] = 1;
    return bytes;
  }
  need(kind === kinds.namespace || kind === kinds.descriptors, "invalidField");
  need(namespace === 1, "invalidNamespace");
  if (kind === kinds.namespace) {
    bytes.set(namespaceData.masks.reset);
    const view = namespaceData.view(new DataView(bytes.buffer));
    view.sizeLow = view.capacityLow = view.usedLow = blocks;
  } else {
    // The one name of it: a UUID, of a version for one's own ways to make it.
    const id = new Bun.CryptoHasher("sha256").update(serial).digest();
    [id[6], id[8]] = [0x80 | (id[6]! & 0x0f), 0x80 | (id[8]! & 0x3f)];
    bytes.set([3, 16, 0, 0, ...id.subarray(0, 16)]);
  }
  return bytes;
}

export class Logs {
  /** How many commands have failed; the last one's queue, ID and status. */
  errors: [count: number, queue: number, id: number, status: number] = [0, 0, 0, 0];

  add({ queue, entry }: Command, code: number): void {
    this.errors = [this.errors[0] + 1, queue.id, entry.commandId, code << 1];
  }

  /** @throws CommandError for one that there is not */
  read(log: number): Uint8Array {
    const memory = new DataView(new ArrayBuffer(log === logs.errors ? 64 : 512));
    const bytes = new Uint8Array(memory.buffer);
    const [count, ...words] = this.errors;
    need(Object.values<number>(logs).includes(log), "invalidLogPage");
    if (log === logs.health) bytes.set([0, temperature & 0xff, temperature >>> 8, spare, leastSpare]);
    // The first slot is the one that runs.
    else if (log === logs.firmware) bytes.set([1, 0, 0, 0, 0, 0, 0, 0, ...text("1")]);
    else memory.setBigUint64(0, BigInt(count), true);
    if (log === logs.errors) for (const [i, word] of words.entries()) memory.setUint16(8 + 2 * i, word, true);
    return bytes;
  }
}
