import { extendedCapability, extendedHead, mapPerCount } from "../capability.ts";
import { joinedBig } from "../derived.ts";
import { hex, hwinit } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";
import { fitting, repeat } from "./repeat.ts";

const locatorsAt = 0x08;
const locatorSize = 8;

const maps = mapPerCount((count) =>
  ownMap("RegisterBlocks", locatorsAt + locatorSize * count, () => ({
    ...extendedHead,
    /** In bytes, with both headers. */
    capabilities: r32(0x04, { length: hwinit(11, 0) }),
    ...repeat(count, (i) => ({
      [`locator${i}Low`]: r32(
        locatorsAt + locatorSize * i,
        {
          bir: hwinit(2, 0, "BIR"),
          blockId: hwinit(15, 8, { Empty: 0, MCAP: 1, MDVS: 255 }, "ID"),
          offset: hex(hwinit(31, 16)),
        },
        `Locator${i}`,
      ),
      [`locator${i}High`]: hex(r32(locatorsAt + locatorSize * i + 4, "hwinit")),
      [`locator${i}Offset`]: joinedBig([`locator${i}High`, `locator${i}Low.offset`], {
        by: 0x1_0000,
        hex: true,
        label: `Locator${i}: offset`,
      }),
    })),
  })),
);

/** MMIO Register Block Locator, PCI Express Base Specification 6.x, 7.9.29: as many locators as its length holds. */
export const registerBlockLocator = extendedCapability(
  extendedCapabilityId.registerBlockLocator,
  "RegisterBlocks",
  (config, at, limit) => {
    const length = limit >= 8 ? config.getUint16(at + 4, true) & 0xfff : 0;
    return maps(fitting(Math.floor(length / 8) - 1, limit, locatorsAt, locatorSize));
  },
);
