import {
  IrqIndex,
  openDevice,
  RegionIndex,
  RegionRegisters,
  type KernelDevice,
  type OpenOptions,
} from "bun-vfio";
import { EventfdListener, pageSize } from "bun-vfio/ffi";
import { endpointHeader, type Live } from "bun-vfio/regs";
import { NvmeError, page, Queue, type Command } from "./queue.ts";
import { controllerMap, formatMap, identifyControllerMap, identifyNamespaceMap } from "./registers.ts";

export interface NvmeOptions extends OpenOptions {
  /** For reading and writing, each with an interrupt of its own; 2, or as many as the controller has. */
  readonly queues?: number;
  /** For each command, in ms; 10000 without. */
  readonly timeout?: number;
}

type Status = ReturnType<Live<typeof controllerMap.registers>["status"]["read"]>;
const largestTransfer = 128 * 1024;
const text = (bytes: Uint8Array): string => new TextDecoder("latin1").decode(bytes).trim();

/** A driver of an NVMe controller and its first namespace. `dispose` stops the controller, then closes the device. */
export class Nvme implements Disposable {
  readonly device: KernelDevice;
  /** The one for administration, then those for reading and writing. Queue N has interrupt N. */
  readonly queues: Queue[] = [];
  identify = { model: "", serial: "", firmware: "", blocks: 0, blockSize: 0, blocksAtOnce: 0 };
  readonly #depth: number;
  readonly #registers: Live<typeof controllerMap.registers>;
  readonly #own = new DisposableStack();
  #next = 0;

  /** @throws NvmeError, VfioError: then all is closed again */
  static async open(bdf: string, options: NvmeOptions = {}): Promise<Nvme> {
    using failed = new DisposableStack();
    const nvme = failed.use(new Nvme(bdf, options));
    await nvme.#start();
    failed.move();
    return nvme;
  }

  private constructor(bdf: string, options: NvmeOptions) {
    using failed = new DisposableStack();
    failed.use(this);
    // What is put on this stack first ends last.
    const device = (this.device = this.#own.use(openDevice(bdf, options)));
    const { dma } = device;
    if (!dma)
      throw new NvmeError(`${bdf}: a driver needs an IOMMU, since the controller could write any memory`);
    const header = endpointHeader.live(new RegionRegisters(device, RegionIndex.config));
    if (header.baseClass.read() !== 1 || header.subclass.read() !== 8)
      throw new NvmeError(`${bdf} is no NVMe controller`);
    header.command.modify({ memorySpace: true });
    // By system calls: slower, and no SIGBUS when the device is reset or gone. The doorbells, which must be fast, are mapped.
    const registers = (this.#registers = controllerMap.live(new RegionRegisters(device, RegionIndex.bar0)));
    const { doorbellStride, nvmCommands, smallestPage } = registers.capabilitiesHigh.read();
    const depth = (this.#depth = Math.min(16, registers.capabilities.read().lastEntry + 1));
    if (smallestPage > 0 || !nvmCommands || depth < 2)
      throw new NvmeError(`${bdf} has no NVM commands, no pages of 4 KiB, or no queues`);
    registers.configuration.write(0);
    this.#wait("disabled", ({ ready }) => !ready);

    const vectors = device.vectors(IrqIndex.msix);
    this.#own.use(vectors);
    const count = 1 + Math.max(1, Math.min(options.queues ?? 2, vectors.count - 1));
    const stride = 4 * 2 ** doorbellStride;
    const size = Math.ceil((count * 2 * stride) / pageSize()) * pageSize();
    const doorbells = this.#own.use(device.map(0, { offset: controllerMap.size, size })).registers;
    const lost = (why: string): void => {
      for (const queue of this.queues) queue.fail(`${why}: ${this.#state()}`);
    };
    const shared = { depth, doorbells, stride, timeout: options.timeout ?? 10_000, lost };
    for (let id = 0; id < count; id++)
      this.queues.push(
        this.#own.use(new Queue(dma, { ...shared, id, transfer: id === 0 ? page : largestTransfer })),
      );
    // From the last on: the host allocates vectors up to the first that is armed, and all others are among them.
    for (let id = count - 1; id >= 0; id--) {
      const queue = this.queues[id]!;
      const came = (events: number): void => {
        queue.interrupts += events;
        queue.look();
      };
      this.#own.use(new EventfdListener(vectors.arm(id).fd, came));
    }
    // From here on the device reaches memory. It stops before any of that memory is taken from it.
    this.#own.defer(() => header.command.modify({ busMaster: false }));
    header.command.modify({ busMaster: true });
    const [admin] = this.queues;
    registers.adminLastEntries.modify({ submission: depth - 1, completion: depth - 1 });
    registers.adminSubmissions.write(BigInt(admin!.submissions.iova));
    registers.adminCompletions.write(BigInt(admin!.completions.iova));
    this.#own.defer(() => this.#stop());
    registers.configuration.modify({ enable: true, submissionEntrySize: 6, completionEntrySize: 4 });
    this.#wait("ready", ({ ready }) => ready);
    failed.move();
  }

  async #start(): Promise<void> {
    const [admin, ...queues] = this.queues;
    const ask = (command: Command) => admin!.submit(command);
    const { data } = await ask({ name: "identify controller", opcode: 6, dwords: [1], receive: page });
    const about = await ask({ name: "identify namespace 1", opcode: 6, namespace: 1, receive: page });
    const namespace = identifyNamespaceMap.view(new DataView(about.data.buffer));
    const format = formatMap.view(new DataView(about.data.buffer), 128 + 4 * namespace.formatIndex);
    const { transferPower } = identifyControllerMap.view(new DataView(data.buffer));
    const most = Math.min(largestTransfer, transferPower === 0 ? largestTransfer : page * 2 ** transferPower);
    const blockSize = 2 ** format.dataBlockPower;
    if (namespace.blocks === 0n || blockSize < 512 || blockSize > most || format.dataMetadata > 0)
      throw new NvmeError(
        `${this.device.name}: namespace 1 is not there, or of a format that is not supported`,
      );
    this.identify = {
      model: text(data.subarray(24, 64)),
      serial: text(data.subarray(4, 24)),
      firmware: text(data.subarray(64, 72)),
      blocks: Number(namespace.blocks),
      blockSize,
      blocksAtOnce: Math.min(most / blockSize, 0x10000),
    };
    const wanted = queues.length - 1;
    const { result } = await ask({ name: "set queues", opcode: 9, dwords: [7, wanted * 0x10001] });
    // It may grant fewer, of each kind, and counts from 0.
    this.queues.length = 2 + Math.min(wanted, result & 0xffff, result >>> 16);
    for (const [n, queue] of queues.slice(0, this.queues.length - 1).entries()) {
      const [id, last] = [n + 1, (this.#depth - 1) * 0x10000];
      // Contiguous memory; the completion queue with interrupts, by vector `id`. The submission queue names it.
      const completion = { memory: queue.completions.iova, dwords: [last + id, id * 0x10000 + 3] };
      await ask({ name: `create completion queue ${id}`, opcode: 5, ...completion });
      const submission = { memory: queue.submissions.iova, dwords: [last + id, id * 0x10000 + 1] };
      await ask({ name: `create submission queue ${id}`, opcode: 1, ...submission });
    }
  }

  /** Any number of blocks, in commands that are under way together. */
  async read(lba: number, blocks: number): Promise<Uint8Array> {
    const parts = this.#parts(lba, blocks).map(async ([at, count]) => {
      const receive = count * this.identify.blockSize;
      return (await this.#submit({ name: `read ${count} blocks at ${at}`, opcode: 2, receive }, at, count))
        .data;
    });
    return Buffer.concat(await Promise.all(parts));
  }

  /** @param bytes whole blocks, else RangeError */
  async write(lba: number, bytes: Uint8Array): Promise<void> {
    const { blockSize } = this.identify;
    const parts = this.#parts(lba, bytes.length / blockSize).map(([at, count]) => {
      const send = bytes.subarray((at - lba) * blockSize, (at - lba + count) * blockSize);
      return this.#submit({ name: `write ${count} blocks at ${at}`, opcode: 1, send }, at, count);
    });
    await Promise.all(parts);
  }

  /** After it, what was written survives a power failure. */
  async flush(): Promise<void> {
    await this.queues[1]!.submit({ name: "flush", opcode: 0, namespace: 1 });
  }

  #parts(lba: number, blocks: number): [at: number, count: number][] {
    if (
      !Number.isSafeInteger(lba) ||
      !Number.isSafeInteger(blocks) ||
      !Number.isSafeInteger(lba + blocks) ||
      lba < 0 ||
      blocks < 1
    )
      throw new RangeError(`${blocks} blocks at ${lba}: both must be integers, of blocks at least 1`);
    const { blocksAtOnce } = this.identify;
    return Array.from({ length: Math.ceil(blocks / blocksAtOnce) }, (_, n) => [
      lba + n * blocksAtOnce,
      Math.min(blocksAtOnce, blocks - n * blocksAtOnce),
    ]);
  }

  #submit(command: Command, lba: number, blocks: number) {
    const queue = this.queues[1 + (this.#next++ % (this.queues.length - 1))]!;
    return queue.submit({
      ...command,
      namespace: 1,
      dwords: [lba % 2 ** 32, Math.floor(lba / 2 ** 32), blocks - 1],
    });
  }

  #wait(what: string, done: (status: Status) => boolean): void {
    const limit = 500 * Math.max(1, this.#registers.capabilities.read().halfSeconds);
    const end = performance.now() + limit;
    while (!done(this.#registers.status.read())) {
      if (performance.now() > end)
        throw new NvmeError(`${this.device.name}: not ${what} after ${limit} ms: ${this.#state()}`);
      Bun.sleepSync(1);
    }
  }

  #state(): string {
    try {
      const { raw, ready, fatal } = this.#registers.status.read();
      if (raw === 0xffffffff) return "the controller is gone";
      if (fatal) return "the controller reports a fatal error";
      return ready ? "the controller is ready" : "the controller is not ready, as after a reset";
    } catch (error) {
      return String(error);
    }
  }

  #stop(): void {
    const { configuration, status } = this.#registers;
    if (!status.read().ready) return;
    configuration.modify({ shutdown: "normal" });
    this.#wait("shut down", ({ shutdown }) => shutdown === "complete");
    configuration.modify({ enable: false });
    this.#wait("disabled", ({ ready }) => !ready);
  }

  /** Commands that are under way fail. */
  [Symbol.dispose](): void {
    for (const queue of this.queues) queue.fail("the controller is closed");
    this.#own.dispose();
  }
}
