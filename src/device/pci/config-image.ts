import type { ConfigLayout } from "../../regs/index.ts";
import { RegionIndex } from "../../regs/vfio/regions.ts";
import type { DeviceBackend } from "../seam/backend.ts";
import { readConfigBytes } from "../../regs/config-reader.ts";
import { VfioError } from "../../ffi/errors.ts";
import { kindOf, type ConfigKind } from "./config-kind.ts";
import { headerLayout, identity } from "./header-registers.ts";

/** A device's config space as read at attach, and what was found in it. */
export interface ConfigImage {
  readonly bytes: Uint8Array;
  /** The same bytes, for register maps. */
  readonly view: DataView;
  readonly layout: ConfigLayout;
  readonly kind: ConfigKind;
}

/** All that is in the bytes of a config space, found. */
export function configImageOf(bytes: Uint8Array): ConfigImage {
  const kind = kindOf(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { bytes, view, layout: kind.layout, kind };
}

/** Bytes of a backend's config space. @throws VfioError for anything but 256 and 4096 */
export function configSizeOf(backend: DeviceBackend): 256 | 4096 {
  const size = backend.regions[RegionIndex.config]?.size ?? 0;
  if (size === 256 || size === 4096) return size;
  throw new VfioError(`${backend.name}: config space has ${size} bytes; a PCI device has 256 or 4096`, {
    code: "ENODEV",
    device: backend.name,
  });
}

/**
 * Reads all of config space in a few reads, leaving out registers whose read has a side effect.
 * @throws VfioError where the device does not answer or has no type 0 header
 */
export function readConfigImage(backend: DeviceBackend): ConfigImage {
  const bytes = readConfigBytes(
    configSizeOf(backend),
    (offset, into) => backend.read(RegionIndex.config, offset, into),
    (heads) => kindOf(heads).layout,
  );
  const image = configImageOf(bytes);
  const { vendorId } = identity;
  // The ID of no vendor. (The host gives a virtual function, whose own reads so, that of its physical one.)
  if (vendorId.read(image.view) === 2 ** vendorId.width - 1)
    throw new VfioError(`${backend.name}: config space reads all ones`, {
      code: "ENODEV",
      device: backend.name,
      hint: "The device is gone, or stuck in a low-power state: check that it shows in lspci, and reset it.",
    });
  if (headerLayout.read(image.view) !== "endpoint")
    throw new VfioError(
      `${backend.name}: header type ${headerLayout.bits(headerLayout.register.read(image.view))} is not an endpoint's`,
      {
        code: "EINVAL",
        device: backend.name,
        hint: "Bridges cannot be passed through; pass the devices behind them.",
      },
    );
  return image;
}
