import { layoutOf } from "../regs/layout.ts";
import { assemble, checkConfigSize, msixOf } from "./defaults.ts";
import { imageError, quote } from "./error.ts";
import { knownConfig, type DeviceImage, type ImageArea, type ImageHost, type ImageRegion } from "./image.ts";
import type { Registers } from "../regs/register.ts";
import { hex } from "../regs/hex-text.ts";

/** Bits of a resource's flags (linux/ioport.h). */
const resourceIo = 0x100;
const resourceMemory = 0x200;
const resourcePrefetch = 0x2000;
const resourceMemory64 = 0x100000;

/** Bits of a BAR that say what it is (PCI Express Base Specification 7.5.1.2.1). */
const barIo = 1;
const barMemory64 = 4;
const barPrefetchable = 8;

const pageSize = 4096;
const row = /^0x([0-9a-f]{16}) 0x([0-9a-f]{16}) 0x([0-9a-f]{16})$/i;
/** BAR0 to BAR5 and the ROM; the lines after them are of SR-IOV and of bridges, which VFIO does not offer. */
const resources = 7;
const maxLines = 64;

/**
 * The regions that Linux's vfio-pci would offer, from the text of a sysfs `resource` file: `START END FLAGS` a line.
 * A memory BAR can be mapped if it fills a page or begins one (drivers/vfio/pci/vfio_pci_core.c).
 * @param msixBar BAR of the MSI-X table, where there is one
 * @throws ImageError that names the line
 */
export const regionsFromResource = (text: string, msixBar?: number): ImageRegion[] =>
  resourcesOf(text).map(({ index, start, size, flags }) => {
    const bar = index < 6;
    const memory = (flags & resourceMemory) !== 0;
    const mappable = bar && memory && (size >= pageSize || start % BigInt(pageSize) === 0n);
    return {
      index,
      size,
      readable: true,
      writable: bar,
      mappable,
      msixMappable: mappable && index === msixBar,
    };
  });

interface Resource {
  /** 0 to 5: BARs, 6: the ROM. */
  readonly index: number;
  readonly start: bigint;
  readonly size: number;
  /** Of linux/ioport.h; the low 32 bits. */
  readonly flags: number;
}

function resourcesOf(text: string): Resource[] {
  const lines = text.split("\n", maxLines + 1);
  if (lines.at(-1) === "") lines.pop();
  if (lines.length < resources || lines.length > maxLines)
    throw imageError(
      `a resource file has one line for each of 6 BARs and the ROM; ${
        lines.length > maxLines ? `more than ${maxLines} lines are here` : `${lines.length} are here`
      }`,
      { line: Math.max(1, lines.length) },
    );
  const found: Resource[] = [];
  for (const [index, content] of lines.entries()) {
    const line = index + 1;
    const parts = row.exec(content.trimEnd());
    if (!parts)
      throw imageError(
        `expected "START END FLAGS", three numbers such as 0x00000000fd400000, got ${quote(content)}`,
        {
          line,
        },
      );
    if (index >= resources) continue;
    const [start, end, flags] = parts.slice(1).map((digits) => BigInt(`0x${digits}`)) as [
      bigint,
      bigint,
      bigint,
    ];
    if (start === 0n && end === 0n) continue;
    if (end < start) throw imageError("the resource ends before it starts", { line });
    if (end - start >= 2n ** 53n) throw imageError("a resource of 2^53 bytes or more", { line });
    const size = Number(end - start) + 1;
    const kind = Number(flags & 0xffffffffn);
    const memory = (kind & resourceMemory) !== 0;
    if (!memory && (kind & resourceIo) === 0)
      throw imageError(`flags ${hex(kind)} are neither of memory nor of I/O`, { line });
    found.push({ index, start, size, flags: kind });
  }
  return found;
}

/**
 * Says in BARs whose registers read 0 what their resources are, as vfio-pci does for who opens the device (vfio_bar_fixup in
 * drivers/vfio/pci/vfio_pci_config.c): those of virtual functions, of Enhanced Allocation, of IDE controllers at the old ports.
 */
function completeBars(config: Uint8Array, text: string): Uint8Array {
  const registers = layoutOf(config).header?.registers ?? {};
  const completed = config.slice();
  const view = new DataView(completed.buffer);
  for (const { index, flags } of resourcesOf(text)) {
    const register = index < 6 ? registers[`bar${index}`] : undefined;
    if (!register || view.getUint32(register.at, true) !== 0 || isUpperHalf(view, registers, index)) continue;
    const memory =
      (flags & resourceMemory64 ? barMemory64 : 0) + (flags & resourcePrefetch ? barPrefetchable : 0);
    view.setUint32(register.at, flags & resourceMemory ? memory : barIo, true);
  }
  return completed;
}

/** Whether a BAR's register is the upper half of the one before. */
function isUpperHalf(view: DataView, registers: Registers, index: number): boolean {
  for (let at = 0; at < index; at++) {
    const register = registers[`bar${at}`];
    if (!register) return false;
    const low = view.getUint32(register.at, true);
    if ((low & (barIo | 6)) !== barMemory64) continue;
    at++;
    if (at === index) return true;
  }
  return false;
}

/** What `/sys/bus/pci/devices/BDF` gives. */
export interface RawDevice {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /** The file `config`: 64 (without privileges), 256 or 4096 bytes. */
  readonly config: Uint8Array;
  /** The text of the file `resource`. */
  readonly resource: string;
  /** Where it was read. */
  readonly host?: ImageHost | undefined;
  /** Bytes of `config` that are 0 because nobody read them; in order, apart from each other. */
  readonly unknown?: readonly ImageArea[] | undefined;
}

/** The image of a device. @param device what its sysfs files hold @throws ImageError for bad content; RangeError for a bad BDF */
export function imageFromRaw({ bdf, config, resource, host = {}, unknown }: RawDevice): DeviceImage {
  checkConfigSize(config);
  const layout = layoutOf(knownConfig(config, unknown), unknown);
  const regions = regionsFromResource(resource, msixOf(knownConfig(config, unknown), layout)?.bar);
  return assemble(bdf, completeBars(config, resource), regions, host, layout, unknown);
}
