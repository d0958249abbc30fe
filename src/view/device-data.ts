// A device as a page has it.
import { VfioError } from "../ffi/errors.ts";
import type { DeviceImage } from "../image/image.ts";
import { layoutOf } from "../regs/layout.ts";
import { capabilityId } from "../regs/maps/ids.ts";
import { physicalGeometry } from "../device/pci/msix-geometry.ts";
import { guestData, type GuestOptions } from "./guest-data.ts";
import type { DeviceData, Fact } from "./page-data.ts";

/** What is known of a device besides its image. */
export interface DeviceSource {
  readonly name: string;
  readonly source: string;
  readonly facts?: readonly Fact[] | undefined;
  readonly guest?: GuestOptions | undefined;
}

/** Bytes of config space that every function has. */
const conventionalSize = 256;

export function deviceData(
  image: DeviceImage,
  { name, source, facts = [], guest }: DeviceSource,
): DeviceData {
  return {
    ...{ name, source, facts },
    config: Uint8Array.from(image.config).toHex(),
    unknown: image.unknown?.config ?? [],
    regions: image.regions.map(({ contents: _, ...region }) => region),
    irqs: image.irqs,
    msixTable: msixTableOf(image)?.toHex(),
    ...attached(image, guest),
  };
}

function attached(
  image: DeviceImage,
  options: GuestOptions | undefined,
): Pick<DeviceData, "guest" | "noGuest"> {
  const { length } = image.config;
  // What a guest would see of capabilities that nobody read is not known.
  if (length < conventionalSize)
    return { guest: undefined, noGuest: `only ${length} bytes of its config space are known` };
  try {
    return { guest: guestData(image, options), noGuest: undefined };
  } catch (error) {
    if (!(error instanceof VfioError || error instanceof RangeError || error instanceof TypeError))
      throw error;
    return { guest: undefined, noGuest: error.message };
  }
}

/** The MSI-X table as the device had it, where all of it was recorded. */
function msixTableOf({ config, regions }: DeviceImage): Uint8Array | undefined {
  const capability = layoutOf(config).capabilities.find(
    ({ id, extended, limit, map }) => id === capabilityId.msix && !extended && map.size <= limit,
  );
  if (!capability || capability.name === "unknown") return undefined;
  const { table } = physicalGeometry(config, capability);
  const blocks = regions.find(({ index }) => index === table.region)?.contents ?? [];
  const block = blocks.find(
    ({ offset, bytes }) => offset <= table.offset && table.offset + table.size <= offset + bytes.length,
  );
  return block?.bytes.slice(table.offset - block.offset, table.offset - block.offset + table.size);
}
