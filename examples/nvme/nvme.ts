import { IrqIndex, openDevice, RegionIndex, RegionRegisters } from "bun-vfio";
import type { KernelDevice, OpenOptions } from "bun-vfio";
import { EventfdListener } from "bun-vfio/ffi";
import { endpointHeader } from "bun-vfio/regs";
import { page, Queue, type Command } from "./queue.ts";
import { controllerMap } from "./registers.ts";

const largestTransfer = 32 * page;
const text = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes).trim();

/** A driver of an NVMe controller and its first namespace. `dispose` stops the controller, then closes the device. */
export class Nvme implements Disposable {
  readonly device: KernelDevice;
  /** The one for administration, then those for reading and writing. Queue N has interrupt N. */
  readonly queues: Queue[] = [];
  identify = { model: "", serial: "", blocks: 0, blockSize: 0, blocksAtOnce: 0 };
  readonly #controller: ReturnType<typeof controllerMap.live>;
  readonly #own = new DisposableStack();
  #next = 0;

  /** @param options `queues` for reading and writing, and each command's `timeout` in ms @throws Error; all is closed then */
  static async open(bdf: string, options: OpenOptions & { queues?: number; timeout?: number } = {}) {
    using failed = new DisposableStack();
    const nvme = failed.use(new Nvme(openDevice(bdf, options)));
    nvme.#enable(options.queues ?? 2, options.timeout ?? 10_000);
    await nvme.#start();
    failed.move();
    return nvme;
  }

  private constructor(device: KernelDevice) {
    // What is put on this stack first ends last.
    this.device = this.#own.use(device);
    // By system calls: slower, and no SIGBUS when the device is gone. Only the doorbells, which must be fast, are mapped.
    this.#controller = controllerMap.live(new RegionRegisters(device, RegionIndex.bar0));
  }

  #enable(wanted: number, timeout: number): void {
    const [device, controller] = [this.device, this.#controller];
    const { command, ...header } = endpointHeader.live(new RegionRegisters(device, RegionIndex.config));
    if (header.baseClass.read() !== 1 || header.subclass.read() !== 8) throw new Error("no NVMe controller");
    command.modify({ memorySpace: true });
    const { doorbellStride, nvmCommands, smallestPage } = controller.capabilitiesHigh.read();
    const depth = Math.min(16, controller.capabilities.read().lastEntry + 1);
    if (smallestPage > 0 || !nvmCommands || depth < 2)
      throw new Error("no NVM commands, 4 KiB pages, or queues");
    controller.configuration.write(0);
    this.#wait("disabled", () => !controller.status.read().ready);
    const vectors = this.#own.use(device.vectors(IrqIndex.msix));
    const count = 1 + Math.max(1, Math.min(wanted, vectors.count - 1));
    const stride = 4 * 2 ** doorbellStride;
    const area = { offset: controllerMap.size, size: 2 * count * stride };
    const doorbells = this.#own.use(device.map(RegionIndex.bar0, area)).registers;
    const lost = (why: string): void => this.queues.forEach((queue) => queue.fail(why));
    // All by one request: kernels that cannot add vectors turn all off to do so.
    for (const [id, interrupt] of vectors.armAll(count).entries()) {
      const ring = (queue: "submission" | "completion", entry: number): void =>
        doorbells.write32((2 * id + (queue === "submission" ? 0 : 1)) * stride, entry);
      const transfer = id === 0 ? page : largestTransfer;
      const queue = this.#own.use(new Queue(device, { depth, transfer, timeout, ring, lost }));
      this.queues.push(queue);
      this.#own.use(new EventfdListener(interrupt.fd, (events) => queue.look(events)));
    }
    // From here on the device reaches memory. That ends before any of the memory is taken from it.
    this.#own.defer(() => command.modify({ busMaster: false }));
    command.modify({ busMaster: true });
    this.#own.defer(() => this.#stop());
    controller.adminLastEntries.modify({ submission: depth - 1, completion: depth - 1 });
    controller.adminSubmissions.write(BigInt(this.queues[0]!.memory.addressAt(0)));
    controller.adminCompletions.write(BigInt(this.queues[0]!.memory.addressAt(page)));
    // Entries of 2^6 and 2^4 bytes.
    controller.configuration.modify({ enable: true, submissionSize: 6, completionSize: 4 });
    this.#wait("ready", () => controller.status.read().ready);
  }

  async #start(): Promise<void> {
    const ask = (command: Command) => this.queues[0]!.submit(command);
    const identify = { name: "identify", opcode: 6, receive: page };
    const { data: controller } = await ask({ ...identify, dwords: [1] });
    const { data } = await ask({ ...identify, namespace: 1 });
    const namespace = new DataView(data.buffer);
    const format = 128 + 4 * (namespace.getUint8(26) & 15);
    const blocks = Number(namespace.getBigUint64(0, true));
    const blockSize = 2 ** namespace.getUint8(format + 2);
    const most = controller[77] ? Math.min(largestTransfer, page * 2 ** controller[77]) : largestTransfer;
    if (blocks === 0 || blockSize < 512 || blockSize > most || namespace.getUint16(format, true) > 0)
      throw new Error("there is no namespace 1, or its format is none that this driver knows");
    const [serial, model] = [text(controller.subarray(4, 24)), text(controller.subarray(24, 64))];
    this.identify = { model, serial, blocks, blockSize, blocksAtOnce: most / blockSize };
    const wanted = this.queues.length - 2;
    const { result } = await ask({ name: "set queues", opcode: 9, dwords: [7, wanted * 0x10001] });
    // It may grant fewer, of either kind, and counts from 0.
    this.queues.length = 2 + Math.min(wanted, result & 0xffff, result >>> 16);
    for (const [id, { memory }] of this.queues.entries()) {
      if (id === 0) continue;
      const size = this.#controller.adminLastEntries.read().submission * 0x10000 + id;
      // In one piece, with interrupts by vector `id`; then the submission queue, which names the completion queue `id`.
      const create = { name: `create queue ${id}`, memory: memory.addressAt(page) };
      await ask({ ...create, opcode: 5, dwords: [size, id * 0x10000 + 3] });
      await ask({ ...create, opcode: 1, memory: memory.addressAt(0), dwords: [size, id * 0x10000 + 1] });
    }
  }

  /** Any number of blocks, by commands that are under way together. */
  async read(lba: number, blocks: number): Promise<Uint8Array> {
    return Buffer.concat((await this.#transfer("read", lba, blocks)).map(({ data }) => data));
  }

  /** What it has written survives a power failure. @param bytes whole blocks, else RangeError */
  async write(lba: number, bytes: Uint8Array): Promise<void> {
    await this.#transfer("write", lba, bytes.length / this.identify.blockSize, bytes);
  }

  #transfer(name: string, lba: number, blocks: number, bytes?: Uint8Array) {
    if (![lba, blocks, lba + blocks].every(Number.isSafeInteger) || lba < 0 || blocks < 1)
      throw new RangeError(`${name} ${blocks} blocks at ${lba}: both must be integers, of blocks at least 1`);
    const { blocksAtOnce, blockSize } = this.identify;
    const parts: ReturnType<Queue["submit"]>[] = [];
    for (let at = 0; at < blocks; at += blocksAtOnce) {
      const [first, count] = [lba + at, Math.min(blocksAtOnce, blocks - at)];
      const send = bytes?.subarray(at * blockSize, (at + count) * blockSize);
      const data = send ? { opcode: 1, send } : { opcode: 2, receive: count * blockSize };
      // A write is done when the medium has it (FUA).
      const dwords = [first, Math.floor(first / 2 ** 32), count - 1 + (send ? 2 ** 30 : 0)];
      const queue = this.queues[1 + (this.#next++ % (this.queues.length - 1))]!;
      const what = `${name} ${count} blocks at ${first}`;
      parts.push(queue.submit({ ...data, name: what, namespace: 1, dwords }));
    }
    return Promise.all(parts);
  }

  #wait(what: string, done: () => boolean): void {
    const limit = 500 * Math.max(1, this.#controller.capabilities.read().halfSeconds);
    for (const end = performance.now() + limit; !done(); Bun.sleepSync(1))
      if (performance.now() > end) throw new Error(`the controller is not ${what} after ${limit} ms`);
  }

  #stop(): void {
    const { configuration, status } = this.#controller;
    if (!status.read().ready) return;
    configuration.modify({ shutdown: 1 });
    this.#wait("shut down", () => status.read().shutdown === "complete");
    configuration.modify({ enable: false });
    this.#wait("disabled", () => !status.read().ready);
  }

  /** Commands that are under way fail. */
  [Symbol.dispose](): void {
    for (const queue of this.queues) queue.fail("the controller is closed");
    this.#own.dispose();
  }
}
