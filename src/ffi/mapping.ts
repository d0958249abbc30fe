import { checked, int32 } from "../regs/ioctl/integer.ts";
import { cover, mapAligned, unmap } from "./address-space.ts";
import { mapFlag, protection } from "./constants.ts";
import { VfioError } from "./errors.ts";
import { systemCalls } from "./system-calls.ts";
import { systemError, type FailureContext } from "./system-error.ts";
import { maxViewSize, MemoryWindows } from "./memory-windows.ts";
import { pageSize } from "./page-size.ts";

export { maxViewSize } from "./memory-windows.ts";

const descriptor = int32("a file descriptor");

/** Of a huge page as x86-64 and aarch64 have them: no larger alignment is of use. In bytes. */
export const maxAlignment = 2 ** 30;

/** What is mapped, how, and what messages say of it. */
export interface MappingOptions extends FailureContext {
  /** In bytes, at least 1; below 2^47. The kernel maps whole pages. */
  readonly size: number;
  /** What is mapped: the mapping holds it open by itself. Without one it is memory of this process, zeros at first. */
  readonly fd?: number | undefined;
  /** In bytes, a multiple of the page size; 0 without. */
  readonly offset?: number | undefined;
  /** `"rw"` without. `"none"` reserves addresses. */
  readonly access?: "none" | "r" | "rw";
  /**
   * The address is `offset` modulo this: a power of two from the page size to 1 GiB, so that the kernel can use huge pages
   * where the device's memory is aligned likewise. The page size without.
   */
  readonly alignment?: number | undefined;
  /** Takes the pages now, so that none is missing later. */
  readonly populate?: boolean;
  /** For messages: `BAR0`, `guest memory`. */
  readonly name: string;
}

/**
 * Memory mapped into this process (mmap(2)), seen through views. Owned: `dispose` detaches every view, then unmaps. Where
 * somebody has transferred the buffer of a view (`transfer`, `postMessage`), nobody can detach it any more: `dispose` puts
 * ordinary memory in the place of what was mapped, so that the addresses stay readable and nothing else.
 */
export class Mapping implements Disposable {
  /** In bytes, as asked for. */
  readonly size: number;
  /** For messages. */
  readonly name: string;
  readonly #address: number;
  readonly #access: "none" | "r" | "rw";
  readonly #device: string | undefined;
  readonly #windows: MemoryWindows;
  #closed = false;

  /** @throws VfioError, as ENOMEM where there is no room; TypeError or RangeError for options that make no sense */
  constructor(options: MappingOptions) {
    const { size, fd, offset = 0, access = "rw", alignment = pageSize(), populate = false, name } = options;
    check(size, offset, alignment, name);
    const shared =
      fd === undefined ? mapFlag.PRIVATE | mapFlag.ANONYMOUS | mapFlag.NORESERVE : mapFlag.SHARED;
    const request = {
      size,
      protection: { none: protection.NONE, r: protection.READ, rw: protection.READ | protection.WRITE }[
        access
      ],
      flags: shared | (populate ? mapFlag.POPULATE : 0),
      fd: fd === undefined ? -1 : checked(fd, descriptor),
      offset,
    };
    const address = mapAligned(request, alignment, pageSize());
    if (address < 0) throw systemError("mmap", -address, `${size} bytes of ${name}`, options);
    this.#address = address;
    this.#windows = new MemoryWindows(address, size);
    this.#access = access;
    this.#device = options.device;
    this.size = size;
    this.name = name;
  }

  /** Whether it was disposed of. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * An access that the memory does not allow would end the process.
   * @throws TypeError if it is mapped without that
   */
  requireAccess(wanted: "read" | "write"): void {
    if (this.#access === "rw" || (this.#access === "r" && wanted === "read")) return;
    throw new TypeError(
      `${this.name} is mapped ${this.#access === "r" ? "to be read only" : "without access"}`,
    );
  }

  /** Host virtual address. @throws VfioError (`ECLOSED`) after `dispose` */
  get address(): number {
    if (this.#closed)
      throw new VfioError(`${this.name} is unmapped`, { code: "ECLOSED", device: this.#device });
    return this.#address;
  }

  /**
   * The bytes themselves, to read and write; it has no bytes left after `dispose`. For memory alone, never for a device's
   * registers: `MappedRegisters` does those.
   * @param size in bytes, at most 2 GiB
   * @throws RangeError for what lies outside, VfioError (`ECLOSED`) after `dispose`
   * @throws TypeError for memory that is not mapped to be written: bytes that are only read come from `read`
   */
  view(offset: number, size: number): Uint8Array<ArrayBuffer> {
    this.requireAccess("write");
    return this.#view(offset, size);
  }

  #view(offset: number, size: number): Uint8Array<ArrayBuffer> {
    this.#checkRange(offset, size);
    if (size > maxViewSize)
      throw new RangeError(`${size} bytes are more than one view of ${this.name} can hold`);
    return this.#windows.view(offset, size);
  }

  /** Copies bytes out, of any length. @throws RangeError for what lies outside, VfioError (`ECLOSED`) after `dispose` */
  read(offset: number, into: Uint8Array): void {
    this.requireAccess("read");
    this.#checkRange(offset, into.length);
    for (let done = 0; done < into.length; done += maxViewSize) {
      const count = Math.min(into.length - done, maxViewSize);
      into.set(this.#view(offset + done, count), done);
    }
  }

  /** Copies bytes in, of any length. @throws RangeError for what lies outside, VfioError (`ECLOSED`) after `dispose` */
  write(offset: number, data: Uint8Array): void {
    this.requireAccess("write");
    this.#checkRange(offset, data.length);
    for (let done = 0; done < data.length; done += maxViewSize) {
      const part = data.subarray(done, done + maxViewSize);
      this.#view(offset + done, part.length).set(part);
    }
  }

  /** madvise(2) for the whole mapping. @param advice one of `memoryAdvice` @throws VfioError */
  advise(advice: number): void {
    const result = systemCalls().madvise(this.address, this.size, advice);
    if (result < 0)
      throw systemError("madvise", -result, `${this.size} bytes of ${this.name}`, {
        device: this.#device,
      });
  }

  #checkRange(offset: number, size: number): void {
    void this.address;
    const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(size);
    if (whole && offset >= 0 && size >= 0 && offset + size <= this.size) return;
    for (const value of [offset, size])
      if (typeof value !== "number")
        throw new TypeError(`an offset and a size of ${this.name} must be numbers, not ${typeof value}`);
    throw new RangeError(`${size} bytes at ${offset} do not lie in the ${this.size} of ${this.name}`);
  }

  /** Unmaps the memory. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    // Views go first: one that is still alive would be a way into memory that is no longer there. One that lives on elsewhere
    // reaches zeros, which are nobody's memory, and ends no process.
    if (this.#windows.detach()) unmap(this.#address, this.size);
    else cover(this.#address, this.size, protection.READ | protection.WRITE);
  }
}

/**
 * The alignment that lets the kernel map with the largest pages there are.
 * @param size of the memory, in bytes
 * @returns a power of two from the page size to 1 GiB
 */
export function hugeAlignment(size: number): number {
  const power = 2 ** Math.floor(Math.log2(Math.max(size, 1)));
  return Math.min(Math.max(power, pageSize()), maxAlignment);
}

function check(size: number, offset: number, alignment: number, name: string): void {
  const refuse = (what: string): never => {
    throw new RangeError(`${name}: ${what}`);
  };
  if (!Number.isSafeInteger(size) || size < 1) refuse(`${size} bytes cannot be mapped`);
  if (!Number.isSafeInteger(offset) || offset < 0 || offset % pageSize() !== 0)
    refuse(`offset ${offset} is no multiple of the page size, ${pageSize()} bytes`);
  if (alignment < pageSize() || alignment > maxAlignment || !Number.isInteger(Math.log2(alignment)))
    refuse(`alignment ${alignment} is no power of two from ${pageSize()} to ${maxAlignment}`);
}
