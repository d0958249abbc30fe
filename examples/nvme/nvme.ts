import {
  IrqIndex,
  openDevice,
  RegionIndex,
  RegionRegisters,
  type KernelDevice,
  type OpenOptions,
} from "bun-vfio";
import { EventfdListener } from "bun-vfio/ffi";
import { endpointHeader } from "bun-vfio/regs";
import { page, Queue, type Command } from "./queue.ts";
import { controllerMap } from "./registers.ts";

const largestTransfer = 32 * page;
const text = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes).trim();
const controllerOf = (device: KernelDevice) =>
  controllerMap.live(new RegionRegisters(device, RegionIndex.bar0));
type Status = ReturnType<ReturnType<typeof controllerOf>["status"]["read"]>;

/** A driver of an NVMe controller and its first namespace. `dispose` stops the controller, then closes the device. */
export class Nvme implements Disposable {
  readonly device: KernelDevice;
  /** The one for administration, then those for reading and writing. Queue N has interrupt N. */
  readonly queues: Queue[] = [];
  identify = { model: "", serial: "", blocks: 0, blockSize: 0, blocksAtOnce: 0 };
  readonly #controller: ReturnType<typeof controllerOf>;
  readonly #own = new DisposableStack();
  #next = 0;

  /** @param options `queues` for reading and writing, and each command's `timeout` in ms @throws Error; all is closed then */
  static async open(
    bdf: string,
    options: OpenOptions & { queues?: number; timeout?: number } = {},
  ): Promise<Nvme> {
    using failed = new DisposableStack();
    const nvme = failed.use(
      new Nvme(openDevice(bdf, options), options.queues ?? 2, options.timeout ?? 10_000),
    );
    await nvme.#start();
    failed.move();
    return nvme;
  }

  private constructor(device: KernelDevice, wanted: number, timeout: number) {
    using failed = new DisposableStack();
    failed.use(this);
    // What is put on this stack first ends last.
    this.device = this.#own.use(device);
    const { dma } = device;
    if (!dma) throw new Error("a driver needs an IOMMU: without one the controller could write any memory");
    const { command, baseClass, subclass } = endpointHeader.live(
      new RegionRegisters(device, RegionIndex.config),
    );
    if (baseClass.read() !== 1 || subclass.read() !== 8)
      throw new Error(`${device.name} is no NVMe controller`);
    command.modify({ memorySpace: true });
    // By system calls: slower, and no SIGBUS when the device is gone. Only the doorbells, which must be fast, are mapped.
    const controller = (this.#controller = controllerOf(device));
    const { doorbellStride, nvmCommands, smallestPage } = controller.capabilitiesHigh.read();
    const depth = Math.min(16, controller.capabilities.read().lastEntry + 1);
    if (smallestPage > 0 || !nvmCommands || depth < 2)
      throw new Error("no NVM commands, pages of 4 KiB, or queues");
    controller.configuration.write(0);
    this.#wait("disabled", ({ ready }) => !ready);

    const vectors = this.#own.use(device.vectors(IrqIndex.msix));
    const count = 1 + Math.max(1, Math.min(wanted, vectors.count - 1));
    const stride = 4 * 2 ** doorbellStride;
    const area = { offset: controllerMap.size, size: 2 * count * stride };
    const doorbells = this.#own.use(device.map(RegionIndex.bar0, area)).registers;
    const lost = (why: string): void => this.#fail(`${why}: ${this.#state()}`);
    // From the last on, so that the host allocates the vectors of all with that of the first.
    for (let id = count - 1; id >= 0; id--) {
      const ring = (queue: "submission" | "completion", entry: number): void =>
        doorbells.write32((2 * id + (queue === "submission" ? 0 : 1)) * stride, entry);
      const transfer = id === 0 ? page : largestTransfer;
      const queue = this.#own.use(new Queue(dma, { depth, transfer, timeout, ring, lost }));
      this.queues.unshift(queue);
      const came = (events: number): void => {
        queue.interrupts += events;
        queue.look();
      };
      this.#own.use(new EventfdListener(vectors.arm(id).fd, came));
    }
    // From here on the device reaches memory. That ends before any of the memory is taken from it.
    this.#own.defer(() => command.modify({ busMaster: false }));
    command.modify({ busMaster: true });
    this.#own.defer(() => this.#stop());
    controller.adminLastEntries.modify({ submission: depth - 1, completion: depth - 1 });
    controller.adminSubmissions.write(BigInt(this.queues[0]!.submissions.iova));
    controller.adminCompletions.write(BigInt(this.queues[0]!.completions.iova));
    // Entries of 2^6 and 2^4 bytes.
    controller.configuration.modify({ enable: true, submissionSize: 6, completionSize: 4 });
    this.#wait("ready", ({ ready }) => ready);
    failed.move();
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
    const { result } = await ask({
      name: "set the number of queues",
      opcode: 9,
      dwords: [7, wanted * 0x10001],
    });
    // It may grant fewer, of either kind, and counts from 0.
    this.queues.length = 2 + Math.min(wanted, result & 0xffff, result >>> 16);
    for (const [id, { depth, completions, submissions }] of this.queues.entries()) {
      if (id === 0) continue;
      const size = (depth - 1) * 0x10000 + id;
      // In one piece, with interrupts by vector `id`; then the submission queue, which names the completion queue `id`.
      const create = { name: `create queue ${id}`, memory: completions.iova };
      await ask({ ...create, opcode: 5, dwords: [size, id * 0x10000 + 3] });
      await ask({ ...create, opcode: 1, memory: submissions.iova, dwords: [size, id * 0x10000 + 1] });
    }
  }

  /** Any number of blocks, by commands that are under way together. */
  async read(lba: number, blocks: number): Promise<Uint8Array> {
    const receive = (count: number) => ({ opcode: 2, receive: count * this.identify.blockSize });
    return Buffer.concat((await this.#transfer("read", lba, blocks, receive)).map(({ data }) => data));
  }

  /** @param bytes whole blocks, else RangeError */
  async write(lba: number, bytes: Uint8Array): Promise<void> {
    const { blockSize } = this.identify;
    const send = (count: number, at: number) => ({
      opcode: 1,
      send: bytes.subarray(at * blockSize, (at + count) * blockSize),
    });
    await this.#transfer("write", lba, bytes.length / blockSize, send);
  }

  /** After it, what was written survives a power failure. */
  async flush(): Promise<void> {
    await this.queues[1]!.submit({ name: "flush", opcode: 0, namespace: 1 });
  }

  #transfer(
    name: string,
    lba: number,
    blocks: number,
    part: (count: number, at: number) => Omit<Command, "name">,
  ) {
    if (![lba, blocks, lba + blocks].every(Number.isSafeInteger) || lba < 0 || blocks < 1)
      throw new RangeError(`${name} ${blocks} blocks at ${lba}: both must be integers, of blocks at least 1`);
    const { blocksAtOnce } = this.identify;
    const parts = Array.from({ length: Math.ceil(blocks / blocksAtOnce) }, (_, n) => {
      const [at, count] = [n * blocksAtOnce, Math.min(blocksAtOnce, blocks - n * blocksAtOnce)];
      const first = lba + at;
      const dwords = [first % 2 ** 32, Math.floor(first / 2 ** 32), count - 1] as const;
      const queue = this.queues[1 + (this.#next++ % (this.queues.length - 1))]!;
      return queue.submit({
        ...part(count, at),
        name: `${name} ${count} blocks at ${first}`,
        namespace: 1,
        dwords,
      });
    });
    return Promise.all(parts);
  }

  #wait(what: string, done: (status: Status) => boolean): void {
    const limit = 500 * Math.max(1, this.#controller.capabilities.read().halfSeconds);
    const end = performance.now() + limit;
    for (; !done(this.#controller.status.read()); Bun.sleepSync(1))
      if (performance.now() > end) throw new Error(`not ${what} after ${limit} ms: ${this.#state()}`);
  }

  #state(): string {
    try {
      const { raw, ready, fatal } = this.#controller.status.read();
      if (fatal)
        return raw === 0xffffffff ? "the controller is gone" : "the controller reports a fatal error";
      return ready ? "the controller is ready" : "the controller is not ready, as after a reset";
    } catch (error) {
      return String(error);
    }
  }

  #fail(why: string): void {
    for (const queue of this.queues) queue.fail(why);
  }

  #stop(): void {
    const { configuration, status } = this.#controller;
    if (!status.read().ready) return;
    configuration.modify({ shutdown: 1 });
    this.#wait("shut down", ({ shutdown }) => shutdown === "complete");
    configuration.modify({ enable: false });
    this.#wait("disabled", ({ ready }) => !ready);
  }

  /** Commands that are under way fail. */
  [Symbol.dispose](): void {
    this.#fail("the controller is closed");
    this.#own.dispose();
  }
}
