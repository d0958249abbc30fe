import { VfioError } from "../../../ffi/errors.ts";
import { regionName } from "../../../regs/vfio/regions.ts";
import {
  imageFormat,
  maxContentBytes,
  type ContentBlock,
  type DeviceImage,
  type ImageHost,
  type ImageRegion,
} from "../../../image/image.ts";
import { readsAllOnes } from "../../../regs/answers.ts";
import { IrqIndex } from "../../../regs/vfio/irqs.ts";
import { RegionIndex, type RegionInfo } from "../../../regs/vfio/regions.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import { RegionRegisters } from "../../seam/region-registers.ts";
import { configSizeOf } from "../../pci/config-image.ts";
import { command, ioSpace, memorySpace } from "../../pci/header-registers.ts";
import { readConfigBytes } from "../../../regs/config-reader.ts";

/** What of a device is recorded besides its descriptions and its config space. */
export interface RecordOptions {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** What is told of the host. */
  readonly host?: ImageHost | undefined;
  /** The ROM's contents. */
  readonly rom?: boolean | undefined;
  /** What the BARs hold. Reading a register of a BAR may have an effect on the device. */
  readonly barContents?: boolean | undefined;
}

/** Bytes of a read; a part that cannot be read is left out by as much. */
const chunk = 4096;
const decode = ioSpace.mask | memorySpace.mask;

/**
 * Records a device: config space without registers whose read has a side effect, which are 0 in the image, regions with
 * their flags, interrupts, and contents on request. Decoding is turned on while BARs are read, and put back.
 * Nothing else is written. The backend stays open.
 * @throws VfioError where the device does not answer
 */
export function recordDevice(backend: DeviceBackend, options: RecordOptions): DeviceImage {
  const config = readConfigBytes(configSizeOf(backend), (offset, into) =>
    backend.read(RegionIndex.config, offset, into),
  );
  if (readsAllOnes(config))
    throw new VfioError(`${backend.name}: config space reads all ones`, {
      code: "ENODEV",
      device: backend.name,
      hint: "The device is gone, or stuck in a low-power state: check that it shows in lspci, and reset it.",
    });
  const { bdf, host = {}, rom = false, barContents = false } = options;
  const contents = new Contents(backend);
  if (rom) contents.record(RegionIndex.rom);
  if (barContents)
    withDecoding(backend, () => {
      for (let bar = RegionIndex.bar0; bar <= RegionIndex.bar5; bar++) contents.record(bar);
    });
  if (rom) contents.checkRom();
  const notes = [...(host.notes ?? []), ...contents.notes];
  return {
    version: imageFormat,
    bdf,
    config,
    regions: backend.regions
      .filter(({ size }) => size > 0)
      .map((region): ImageRegion => ({ ...region, contents: contents.blocks.get(region.index) })),
    irqs: backend.irqs.filter(
      ({ index, count }) => count > 0 || (index >= IrqIndex.intx && index <= IrqIndex.msix),
    ),
    resettable: backend.resettable,
    host: { ...host, ...(notes.length > 0 && { notes }) },
  };
}

function withDecoding(backend: DeviceBackend, work: () => void): void {
  const registers = new RegionRegisters(backend, RegionIndex.config);
  const before = registers.read(command.at, command.size);
  const on = (before & decode) === decode;
  if (!on) registers.write(command.at, command.size, before | decode);
  try {
    work();
  } finally {
    if (!on) registers.write(command.at, command.size, before);
  }
}

class Contents {
  readonly blocks = new Map<number, ContentBlock[]>();
  readonly notes: string[] = [];
  readonly #backend: DeviceBackend;
  #left = maxContentBytes;

  constructor(backend: DeviceBackend) {
    this.#backend = backend;
  }

  record(index: number): void {
    const region = this.#backend.regions[index];
    if (!region || region.size === 0) return;
    const name = regionName(index);
    if (!region.readable) return void this.notes.push(`${name} cannot be read: its contents are unknown`);
    const wanted = Math.min(region.size, this.#left);
    if (wanted < region.size)
      this.notes.push(
        `of ${name} the first ${wanted} of ${region.size} bytes are recorded: an image holds ${maxContentBytes}`,
      );
    const { blocks, unread, problem } = this.#read(region, wanted);
    if (blocks.length > 0) this.blocks.set(index, blocks);
    if (problem !== undefined) this.notes.push(`${unread} bytes of ${name} could not be read: ${problem}`);
  }

  #read(region: RegionInfo, size: number): { blocks: ContentBlock[]; unread: number; problem?: string } {
    const bytes = new Uint8Array(new ArrayBuffer(size));
    const blocks: ContentBlock[] = [];
    let unread = 0;
    let problem: string | undefined;
    let start = 0;
    const close = (end: number): void => {
      if (end > start) blocks.push({ offset: start, bytes: bytes.slice(start, end) });
    };
    for (let at = 0; at < size; at += chunk) {
      const end = Math.min(at + chunk, size);
      try {
        this.#backend.read(region.index, at, bytes.subarray(at, end));
      } catch (error) {
        if (!(error instanceof VfioError)) throw error;
        problem ??= error.message;
        unread += end - at;
        close(at);
        start = end;
      }
    }
    close(size);
    this.#left -= size - unread;
    return { blocks, unread, ...(problem !== undefined && { problem }) };
  }

  /** A ROM begins with 55 aa (PCI Firmware Specification 5.1.1); one that the firmware shadowed or hid does not. */
  checkRom(): void {
    const [first] = this.blocks.get(RegionIndex.rom) ?? [];
    if (!first) {
      if (!this.#backend.regions[RegionIndex.rom]?.size) this.notes.push("the device has no ROM");
    } else if (first.offset !== 0 || first.bytes[0] !== 0x55 || first.bytes[1] !== 0xaa)
      this.notes.push("the ROM does not begin with its signature: it is empty, or the firmware hides it");
  }
}
