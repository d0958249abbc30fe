// Regions of a device that a server lets be mapped: a file of its, which may lie about its size.
import { VfioError } from "../../../ffi/errors.ts";
import { fileStatus, sealAgainstShrinking } from "../../../ffi/file-status.ts";
import { Mapping } from "../../../ffi/mapping.ts";
import { MappedRegisters } from "../../../ffi/mapped-registers.ts";
import { pageSize } from "../../../ffi/page-size.ts";
import { regionName, type RegionArea } from "../../../regs/vfio/regions.ts";
import type { RegionMapping } from "../../seam/backend.ts";
import type { DescribedRegion } from "./describe.ts";

/** Region memory of a server's device in this process. `dispose` unmaps it. */
export class SharedRegion implements RegionMapping {
  readonly size: number;
  /** Where this process has it. */
  readonly mapping: Mapping;
  /** For people who drive the device. */
  readonly registers: MappedRegisters;
  readonly #onDispose: (gone: SharedRegion) => void;

  /** @throws VfioError: EINVAL for what cannot be mapped or lies outside of the file, EPERM for a file that may shrink */
  constructor(
    device: string,
    { info, file, offset }: DescribedRegion,
    area: RegionArea,
    { sealedOnly, onDispose }: { sealedOnly: boolean; onDispose: (gone: SharedRegion) => void },
  ) {
    const refuse = (code: string, errno: number, why: string): VfioError =>
      new VfioError(
        `${device}: ${regionName(info.index)} at ${area.offset} size ${area.size}: mmap fails with ${code}: ${why}`,
        { code, errno, syscall: "mmap", device },
      );
    const page = pageSize();
    const whole = { offset: 0, size: Math.ceil(info.size / page) * page };
    const isAligned = [area.offset, area.size, offset].every(
      (value) => Number.isSafeInteger(value) && value % page === 0,
    );
    const isInside = (info.sparse ?? [whole]).some(
      (one) => area.offset >= one.offset && area.offset + area.size <= one.offset + one.size,
    );
    if (
      !file ||
      !info.mappable ||
      !isAligned ||
      area.size < 1 ||
      !isInside ||
      area.offset + area.size > whole.size
    )
      throw refuse("EINVAL", 22, "the server does not let this area be mapped");
    const start = offset + area.offset;
    if (!sealAgainstShrinking(file.fd) && sealedOnly)
      throw refuse("EPERM", 1, "the server could take the memory away");
    // After the seal: before it, the file could still get smaller.
    const status = fileStatus(file.fd, device);
    if (status.isRegular && start + area.size > status.size)
      throw refuse("EINVAL", 22, `the server's file ends at ${status.size}`);
    this.mapping = new Mapping({
      device,
      name: `${device} ${regionName(info.index)}`,
      fd: file.fd,
      offset: start,
      size: area.size,
      access: info.writable ? "rw" : "r",
    });
    this.registers = new MappedRegisters(this.mapping);
    this.size = area.size;
    this.#onDispose = onDispose;
  }

  /** @throws VfioError (`ECLOSED`) after `dispose` */
  get hva(): number {
    return this.mapping.address;
  }

  /** Unmaps. Safe to call twice. */
  [Symbol.dispose](): void {
    if (this.mapping.closed) return;
    this.mapping[Symbol.dispose]();
    this.#onDispose(this);
  }
}
