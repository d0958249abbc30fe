// A driver of NVMe controllers for tests: it sends whatever it is told, right or wrong. Its numbers are the specification's, not those
// of the maps of examples/, which it tests.
import { Eventfd } from "../../src/ffi/eventfd.ts";
import type { DeviceBackend } from "../../src/device/seam/backend.ts";

export const page = 4096;
export const register = {
  capabilities: 0,
  version: 8,
  configuration: 0x14,
  status: 0x1c,
  attributes: 0x24,
} as const;
const [submissionBase, completionBase] = [0x28, 0x30];
const patience = 10_000;

/** What a submission has in it. */
export interface Submission {
  readonly opcode: number;
  /** 1 for what is not the admin queue's, unless given. */
  readonly namespace?: number;
  readonly first?: number | bigint;
  readonly second?: number | bigint;
  /** Dwords 10 to 15. */
  readonly dwords?: readonly number[];
  /** Bits 8 to 15 of the first word: fused operations, and lists. */
  readonly flags?: number;
}
/** What a completion says. */
export interface Completion {
  readonly id: number;
  readonly status: number;
  readonly result: number;
  readonly doNotRetry: boolean;
  readonly head: number;
  readonly queue: number;
}

interface Ring {
  readonly submissions: number;
  readonly completions: number;
  readonly size: number;
  tail: number;
  head: number;
  phase: number;
  readonly ended: Map<number, Completion>;
}

/** A device, and memory that it reaches. `dispose` ends interrupts; the device stays its owner's. */
export class NvmeDriver implements Disposable {
  readonly device: DeviceBackend;
  readonly bytes: Uint8Array;
  readonly #base: number;
  readonly #view: DataView;
  readonly rings: Ring[] = [];
  readonly interrupts: Eventfd[];
  #used = 0;
  #id = 0;

  /** @param bytes memory that the device has from IOVA `base` on */
  constructor(device: DeviceBackend, bytes: Uint8Array, base: number) {
    [this.device, this.bytes, this.#base] = [device, bytes, base];
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.interrupts = Array.from({ length: device.irqs[2]!.count }, () => new Eventfd());
    // Memory and bus mastering.
    device.write(7, 4, Uint8Array.of(6, 0));
    const fds = this.interrupts.map(({ fd }) => fd);
    device.setIrqs({ index: 2, action: "trigger", start: 0, data: { kind: "eventfd", fds } });
  }

  /** Memory that is nobody else's. @returns its IOVA */
  allocate(pages = 1): number {
    const iova = this.#base + this.#used;
    this.#used += pages * page;
    if (this.#used > this.bytes.length) throw new RangeError("the test has no memory left");
    this.at(iova, pages * page).fill(0);
    return iova;
  }
  at(iova: number, size: number): Uint8Array {
    return this.bytes.subarray(iova - this.#base, iova - this.#base + size);
  }

  read(offset: number): number {
    const data = new Uint8Array(4);
    this.device.read(0, offset, data);
    return new DataView(data.buffer).getUint32(0, true);
  }
  write(offset: number, value: number): void {
    this.device.write(0, offset, new Uint8Array(Uint32Array.of(value).buffer));
  }
  async until(what: string, isSo: () => boolean): Promise<void> {
    for (const end = performance.now() + patience; !isSo(); await Bun.sleep(1))
      if (performance.now() > end) throw new Error(`in vain for ${patience} ms: ${what}`);
  }

  /** Disables the controller, and enables it with an admin queue. @param size entries */
  async enable(size = 32, configuration = 0x0046_0001): Promise<void> {
    this.write(register.configuration, 0);
    await this.until("disabled", () => (this.read(register.status) & 1) === 0);
    this.rings.length = 0;
    const ring = this.#ring(0, size);
    this.write(register.attributes, (size - 1) * 0x10001);
    for (const [at, iova] of [
      [submissionBase, ring.submissions],
      [completionBase, ring.completions],
    ] as const) {
      this.write(at, iova % 2 ** 32);
      this.write(at + 4, Math.floor(iova / 2 ** 32));
    }
    this.write(register.configuration, configuration);
    await this.until("ready", () => (this.read(register.status) & 3) !== 0);
  }

  #ring(queue: number, size: number): Ring {
    const submissions = this.allocate(Math.ceil((size * 64) / page));
    const completions = this.allocate(Math.ceil((size * 16) / page));
    return (this.rings[queue] = {
      ...{ submissions, completions, size, tail: 0, head: 0, phase: 1, ended: new Map() },
    });
  }

  /** Makes a pair of queues, with the vector of the same number. */
  async createQueue(queue: number, size: number): Promise<void> {
    const { submissions, completions } = this.#ring(queue, size);
    const sized = (size - 1) * 2 ** 16 + queue;
    await this.done(0, { opcode: 5, first: completions, dwords: [sized, queue * 2 ** 16 + 3] });
    await this.done(0, { opcode: 1, first: submissions, dwords: [sized, queue * 2 ** 16 + 1] });
  }

  /** Puts a command into memory; `ring` tells of it. @returns its ID */
  put(
    queue: number,
    { opcode, namespace, first = 0, second = 0, dwords = [], flags = 0 }: Submission,
  ): number {
    const ring = this.rings[queue]!;
    const at = ring.submissions - this.#base + ring.tail * 64;
    this.bytes.fill(0, at, at + 64);
    const id = (this.#id = (this.#id + 1) & 0xffff);
    this.#view.setUint32(at, (opcode | (flags << 8) | (id << 16)) >>> 0, true);
    this.#view.setUint32(at + 4, namespace ?? (queue === 0 ? 0 : 1), true);
    this.#view.setBigUint64(at + 24, BigInt(first), true);
    this.#view.setBigUint64(at + 32, BigInt(second), true);
    for (const [n, dword] of dwords.entries()) this.#view.setUint32(at + 40 + 4 * n, dword, true);
    ring.tail = (ring.tail + 1) % ring.size;
    return id;
  }
  ring(queue: number, value = this.rings[queue]!.tail): void {
    this.write(0x1000 + 8 * queue, value);
  }
  submit(queue: number, submission: Submission): number {
    const id = this.put(queue, submission);
    this.ring(queue);
    return id;
  }

  /** Takes what has ended, `most` at most. @param rings whether the controller is told */
  look(queue: number, most = Infinity, rings = true): Completion[] {
    const ring = this.rings[queue]!;
    const found: Completion[] = [];
    while (found.length < most) {
      const at = ring.completions - this.#base + ring.head * 16;
      const word = this.#view.getUint32(at + 12, true);
      if (((word >>> 16) & 1) !== ring.phase) break;
      const place = this.#view.getUint32(at + 8, true);
      found.push({
        ...{ id: word & 0xffff, status: (word >>> 17) & 0x7ff, doNotRetry: word >>> 31 === 1 },
        ...{ result: this.#view.getUint32(at, true), head: place & 0xffff, queue: place >>> 16 },
      });
      ring.head = (ring.head + 1) % ring.size;
      if (ring.head === 0) ring.phase ^= 1;
    }
    if (found.length > 0 && rings) this.write(0x1004 + 8 * queue, ring.head);
    for (const one of found) ring.ended.set(one.id, one);
    return found;
  }

  async ended(queue: number, id: number): Promise<Completion> {
    const { ended } = this.rings[queue]!;
    await this.until(`command ${id} of queue ${queue} ends`, () => {
      this.look(queue);
      return ended.has(id);
    });
    const completion = ended.get(id)!;
    ended.delete(id);
    return completion;
  }
  command(queue: number, submission: Submission): Promise<Completion> {
    return this.ended(queue, this.submit(queue, submission));
  }
  /** The status of a command. */
  async status(queue: number, submission: Submission): Promise<number> {
    return (await this.command(queue, submission)).status;
  }
  /** @returns the result @throws Error for another status than success */
  async done(queue: number, submission: Submission): Promise<number> {
    const { status, result } = await this.command(queue, submission);
    if (status !== 0)
      throw new Error(`opcode ${submission.opcode} of queue ${queue} ends with 0x${status.toString(16)}`);
    return result;
  }

  /** Pages of a list for `size` bytes from `iova` on, as a command has them; the list is at `list`. */
  pages(iova: number, size: number, list: number): Pick<Submission, "first" | "second"> {
    const inFirst = page - (iova % page);
    if (size <= inFirst) return { first: iova };
    if (size <= inFirst + page) return { first: iova, second: iova + inFirst };
    for (let n = 0, at = iova + inFirst; at < iova + size; n++, at += page)
      this.#view.setBigUint64(list - this.#base + 8 * n, BigInt(at), true);
    return { first: iova, second: list };
  }

  [Symbol.dispose](): void {
    for (const one of this.interrupts) one[Symbol.dispose]();
  }
}
