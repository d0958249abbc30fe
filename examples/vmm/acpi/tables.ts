// The tables by which firmware tells a guest what the machine is (ACPI Specification 6.5, chapter 5). The machine is
// "hardware-reduced": none of the registers that every PC once had, only a reset register and one to turn it off.
import { memory, ports } from "../layout.ts";
import { resetPort, resetValue } from "../devices/power.ts";
import { dsdtBody } from "./dsdt.ts";

/** A table while it is filled in. */
class Table {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /** @param size in bytes, with the header of 36 */
  constructor(signature: string, revision: number, size: number) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
    this.text(0, signature).u32(4, size).u8(8, revision);
    this.text(10, "BUNVFI").text(16, "BUNVFIO ").u32(24, 1).text(28, "BUN ").u32(32, 1);
  }
  u8(offset: number, value: number): this {
    this.#view.setUint8(offset, value);
    return this;
  }
  u16(offset: number, value: number): this {
    this.#view.setUint16(offset, value, true);
    return this;
  }
  u32(offset: number, value: number): this {
    this.#view.setUint32(offset, value, true);
    return this;
  }
  u64(offset: number, value: number): this {
    this.#view.setBigUint64(offset, BigInt(value), true);
    return this;
  }
  text(offset: number, value: string): this {
    this.bytes.set(new TextEncoder().encode(value), offset);
    return this;
  }
  put(offset: number, data: readonly number[]): this {
    this.bytes.set(data, offset);
    return this;
  }
  /** A generic address structure: a port of 8 bits. */
  port(offset: number, port: number): this {
    return this.put(offset, [1, 8, 0, 1]).u64(offset + 4, port);
  }
  /** All bytes of a table add up to 0. */
  done(): Uint8Array<ArrayBuffer> {
    this.u8(9, checksum(this.bytes));
    return this.bytes;
  }
}

export const checksum = (bytes: Uint8Array): number =>
  -bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0) & 0xff;

const headerSize = 36;

function dsdt(): Uint8Array<ArrayBuffer> {
  const body = dsdtBody();
  return new Table("DSDT", 2, headerSize + body.length).put(headerSize, body).done();
}

const fadtFlag = {
  wbinvd: 1 << 0,
  powerButton: 1 << 4,
  sleepButton: 1 << 5,
  reset: 1 << 10,
  reduced: 1 << 20,
};
/** Serial port and the like are there; a VGA is not. */
const bootFlags = (1 << 0) | (1 << 2);

const fadt = (dsdtAddress: number): Uint8Array<ArrayBuffer> =>
  new Table("FACP", 6, 276)
    .u32(40, dsdtAddress)
    .u64(140, dsdtAddress)
    .u16(109, bootFlags)
    .u32(
      112,
      fadtFlag.wbinvd | fadtFlag.powerButton | fadtFlag.sleepButton | fadtFlag.reset | fadtFlag.reduced,
    )
    .port(116, resetPort)
    .u8(128, resetValue)
    .u8(131, 5)
    .port(244, ports.power.base)
    .port(256, ports.power.base + 1)
    .done();

/** The local APICs, one a CPU, and the IOAPIC. */
function madt(cpus: number): Uint8Array<ArrayBuffer> {
  const table = new Table("APIC", 5, 44 + 8 * cpus + 12).u32(36, memory.localApic);
  for (let id = 0; id < cpus; id++) table.put(44 + 8 * id, [0, 8, id, id, 1, 0, 0, 0]);
  return table
    .put(44 + 8 * cpus, [1, 12, 0, 0])
    .u32(44 + 8 * cpus + 4, memory.ioapic)
    .done();
}

/** Where config space is mapped: of bus 0 alone. */
const mcfg = (): Uint8Array<ArrayBuffer> => new Table("MCFG", 1, 60).u64(44, memory.ecam.base).done();

function xsdt(tables: readonly number[]): Uint8Array<ArrayBuffer> {
  const table = new Table("XSDT", 1, headerSize + 8 * tables.length);
  tables.forEach((address, i) => table.u64(headerSize + 8 * i, address));
  return table.done();
}

/** What a guest looks for, on a boundary of 16 bytes: two checksums, of the first 20 bytes and of all 36. */
function rsdp(xsdtAddress: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode("RSD PTR "));
  bytes.set(new TextEncoder().encode("BUNVFI"), 9);
  bytes[15] = 2;
  view.setUint32(20, bytes.length, true);
  view.setBigUint64(24, BigInt(xsdtAddress), true);
  bytes[8] = checksum(bytes.subarray(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}

/** All tables as they lie in memory from `memory.acpi` on: the RSDP first. */
export function acpiTables(cpus: number): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(memory.acpi.size);
  let end = 64;
  const place = (table: Uint8Array): number => {
    if (end + table.length > image.length) throw new RangeError("the firmware tables do not fit");
    const offset = end;
    image.set(table, offset);
    end = Math.ceil((offset + table.length) / 16) * 16;
    return memory.acpi.base + offset;
  };
  const facp = place(fadt(place(dsdt())));
  image.set(rsdp(place(xsdt([facp, place(madt(cpus)), place(mcfg())]))));
  return image;
}
