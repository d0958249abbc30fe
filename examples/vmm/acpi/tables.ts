// The tables by which firmware tells a guest what the machine is (ACPI Specification 6.5, chapter 5). The machine is
// "hardware-reduced": none of the registers that every PC once had, only a reset register and one to turn it off.
import { memory, ports } from "../layout.ts";
import { resetPort, resetValue } from "../devices/power.ts";
import { dsdtBody } from "./dsdt.ts";

/** What is where in a table: offset, width in bytes, value; or offset and bytes. */
type Field = readonly [offset: number, width: 1 | 2 | 4 | 8, value: number] | readonly [number, Uint8Array];

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

/** All bytes of a table add up to 0. */
export const checksum = (bytes: Uint8Array): number =>
  -bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0) & 0xff;

function layOut(size: number, fields: readonly Field[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [offset, what, value] of fields)
    if (typeof what !== "number") bytes.set(what, offset);
    else if (what === 1) view.setUint8(offset, value!);
    else if (what === 2) view.setUint16(offset, value!, true);
    else if (what === 4) view.setUint32(offset, value!, true);
    else view.setBigUint64(offset, BigInt(value!), true);
  return bytes;
}

const headerSize = 36;

/** A table with its header. */
function table(signature: string, revision: number, size: number, fields: readonly Field[]): Uint8Array {
  const header: Field[] = [
    ...([
      [0, ascii(signature)],
      [4, 4, size],
      [8, 1, revision],
    ] as const),
    ...([
      [10, ascii("BUNVFIBUNVFIO ")],
      [24, 4, 1],
      [28, ascii("BUN ")],
      [32, 4, 1],
    ] as const),
  ];
  const bytes = layOut(size, [...header, ...fields]);
  bytes[9] = checksum(bytes);
  return bytes;
}

function dsdt(): Uint8Array {
  const body = Uint8Array.from(dsdtBody());
  return table("DSDT", 2, headerSize + body.length, [[headerSize, body]]);
}

const flag = { wbinvd: 1 << 0, powerButton: 1 << 4, sleepButton: 1 << 5, reset: 1 << 10, reduced: 1 << 20 };
/** Serial port and the like are there; a VGA is not. */
const bootFlags = (1 << 0) | (1 << 2);
/** A generic address structure: a port of 8 bits. */
const portAt = (offset: number, port: number): Field[] => [
  [offset, Uint8Array.of(1, 8, 0, 1)],
  [offset + 4, 8, port],
];

const fadt = (dsdtAddress: number): Uint8Array =>
  table("FACP", 6, 276, [
    ...([
      [40, 4, dsdtAddress],
      [140, 8, dsdtAddress],
      [109, 2, bootFlags],
    ] as const),
    [112, 4, flag.wbinvd | flag.powerButton | flag.sleepButton | flag.reset | flag.reduced],
    ...portAt(116, resetPort),
    ...([
      [128, 1, resetValue],
      [131, 1, 5],
    ] as const),
    ...portAt(244, ports.power.base),
    ...portAt(256, ports.power.base + 1),
  ]);

/** The local APICs, one a CPU, and the IOAPIC. */
function madt(cpus: number): Uint8Array {
  const end = 44 + 8 * cpus;
  const localApics = Array.from({ length: cpus }, (_, id) => [0, 8, id, id, 1, 0, 0, 0]).flat();
  return table("APIC", 5, end + 12, [
    [36, 4, memory.localApic],
    [44, Uint8Array.from([...localApics, 1, 12])],
    [end + 4, 4, memory.ioapic],
  ]);
}

/** Where config space is mapped: of bus 0 alone. */
const mcfg = (): Uint8Array => table("MCFG", 1, 60, [[44, 8, memory.ecam.base]]);

const xsdt = (tables: readonly number[]): Uint8Array =>
  table(
    "XSDT",
    1,
    headerSize + 8 * tables.length,
    tables.map((at, i) => [headerSize + 8 * i, 8, at] as const),
  );

/** What a guest looks for, on a boundary of 16 bytes: two checksums, of the first 20 bytes and of all 36. */
function rsdp(xsdtAddress: number): Uint8Array {
  const bytes = layOut(36, [
    ...([
      [0, ascii("RSD PTR ")],
      [9, ascii("BUNVFI")],
      [15, 1, 2],
      [20, 4, 36],
      [24, 8, xsdtAddress],
    ] as const),
  ]);
  bytes[8] = checksum(bytes.subarray(0, 20));
  bytes[32] = checksum(bytes);
  return bytes;
}

/** All tables as they lie in memory from `memory.acpi` on: the RSDP first. */
export function acpiTables(cpus: number): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(memory.acpi.size);
  let end = 64;
  const place = (bytes: Uint8Array): number => {
    const offset = end;
    image.set(bytes, offset);
    end = Math.ceil((offset + bytes.length) / 16) * 16;
    return memory.acpi.base + offset;
  };
  const facp = place(fadt(place(dsdt())));
  image.set(rsdp(place(xsdt([facp, place(madt(cpus)), place(mcfg())]))));
  return image;
}
