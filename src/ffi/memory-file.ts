import { cString } from "./c-string.ts";
import { fcntlCommand, memfdFlag, sealFlag } from "./constants.ts";
import { FileDescriptor } from "./file-descriptor.ts";
import { systemCalls, systemError } from "./system-calls.ts";
import { Mapping, hugeAlignment, type MappingOptions } from "./mapping.ts";

/** What memory to make. */
export interface MemoryFileOptions {
  /** In bytes, a multiple of the page size used. */
  readonly size: number;
  /** Pages of hugetlbfs, which the administrator has set aside; ordinary ones without. */
  readonly hugePages?: "2 MiB" | "1 GiB" | undefined;
  /** For messages, and for /proc: `guest memory`. At most 249 bytes. */
  readonly name: string;
}

/**
 * Memory behind a file descriptor (memfd_create(2)), which other processes and iommufd can map. Its size is sealed:
 * nobody who gets the descriptor can take pages away and have this process killed by SIGBUS.
 */
export class MemoryFile extends FileDescriptor {
  /** In bytes. */
  readonly size: number;
  readonly #alignment: number;
  readonly #hasHugePages: boolean;

  /**
   * Zeroed memory.
   * @param options its size and pages @throws VfioError: EINVAL for a size that is no multiple of the page, ENOMEM
   */
  constructor({ size, hugePages, name }: MemoryFileOptions) {
    if (!Number.isSafeInteger(size) || size < 1) throw new RangeError(`${name}: ${size} bytes are no size`);
    const huge = {
      none: 0,
      "2 MiB": memfdFlag.HUGETLB | memfdFlag.HUGE_2MB,
      "1 GiB": memfdFlag.HUGETLB | memfdFlag.HUGE_1GB,
    };
    const fd = systemCalls().memfd_create(
      cString(name),
      memfdFlag.CLOEXEC | memfdFlag.ALLOW_SEALING | huge[hugePages ?? "none"],
    );
    if (fd < 0) throw systemError("memfd_create", -fd, name, hugeHint);
    super(fd, name);
    this.size = size;
    this.#hasHugePages = hugePages !== undefined;
    this.#alignment = hugeAlignment(hugePages === "1 GiB" ? 2 ** 30 : hugePages === "2 MiB" ? 2 ** 21 : size);
    try {
      this.#prepare();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  #prepare(): void {
    const what = `${this.size} bytes of ${this.name}`;
    const sized = systemCalls().ftruncate(this.fd, this.size);
    if (sized < 0) throw systemError("ftruncate", -sized, what, hugeHint);
    const seals = sealFlag.SHRINK | sealFlag.GROW | sealFlag.SEAL;
    const sealed = systemCalls().fcntl(this.fd, fcntlCommand.ADD_SEALS, seals);
    if (sealed < 0) throw systemError("fcntl", -sealed, what);
  }

  /** Maps the file, or a part of it, aligned for huge pages. The mapping outlives the descriptor. @throws VfioError */
  map(options: Omit<MappingOptions, "fd" | "name" | "size"> & { readonly size?: number } = {}): Mapping {
    const { offset = 0, size = this.size - offset } = options;
    if (offset + size > this.size)
      throw new RangeError(`${size} bytes at ${offset} do not lie in the ${this.size} of ${this.name}`);
    const defaults = { alignment: this.#alignment, ...(this.#hasHugePages ? hugeHint : {}) };
    return new Mapping({ ...defaults, ...options, fd: this.fd, size, name: this.name });
  }
}

const hugeHint = {
  hint: (code: string): string | undefined =>
    code === "ENOMEM" || code === "ENODEV" || code === "EINVAL"
      ? "Huge pages are set aside in /sys/kernel/mm/hugepages/*/nr_hugepages, and a size is a multiple of theirs."
      : undefined,
};
