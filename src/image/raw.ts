import { layoutOf } from "../regs/layout.ts";
import { assemble, checkConfigSize, msixOf } from "./defaults.ts";
import { imageError, quote } from "./error.ts";
import type { DeviceImage, ImageHost, ImageRegion } from "./image.ts";

/** Bits of a resource's flags (linux/ioport.h). */
const resourceIo = 0x100;
const resourceMemory = 0x200;

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
export function regionsFromResource(text: string, msixBar?: number): ImageRegion[] {
  const lines = text.split("\n", maxLines + 1);
  if (lines.at(-1) === "") lines.pop();
  if (lines.length < resources || lines.length > maxLines)
    throw imageError(
      `a resource file has one line for each of 6 BARs and the ROM; ${
        lines.length > maxLines ? `more than ${maxLines} lines are here` : `${lines.length} are here`
      }`,
      { line: Math.max(1, lines.length) },
    );
  const regions: ImageRegion[] = [];
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
      throw imageError(`flags 0x${kind.toString(16)} are neither of memory nor of I/O`, { line });
    const bar = index < 6;
    const mappable = bar && memory && (size >= pageSize || start % BigInt(pageSize) === 0n);
    regions.push({
      index,
      size,
      readable: true,
      writable: bar,
      mappable,
      msixMappable: mappable && index === msixBar,
    });
  }
  return regions;
}

/** What `/sys/bus/pci/devices/BDF` gives. */
export interface RawDevice {
  readonly bdf: string;
  /** The file `config`: 64 (without privileges), 256 or 4096 bytes. */
  readonly config: Uint8Array;
  /** The text of the file `resource`. */
  readonly resource: string;
  readonly host?: ImageHost | undefined;
}

/** The image of a device. @param device what its sysfs files hold @throws ImageError for bad content; RangeError for a bad BDF */
export function imageFromRaw({ bdf, config, resource, host = {} }: RawDevice): DeviceImage {
  checkConfigSize(config);
  const layout = layoutOf(config);
  const regions = regionsFromResource(resource, msixOf(config, layout)?.bar);
  return assemble(bdf, config, regions, host, layout);
}
