import { extendedCapability, extendedHead } from "../capability.ts";
import { joinedBig, type JoinedOptions } from "../derived.ts";
import type { Entry } from "../entries.ts";
import { hex, hwinit, ro, rw, rw1c, scaled, volatile } from "../field.ts";
import { ownMap, type RegisterBlock } from "../map.ts";
import { r32 } from "../register.ts";
import { extendedCapabilityId } from "./ids.ts";
import { fitting } from "./repeat.ts";

const algorithm = { "AES-GCM-256-96b": 0 } as const;
const aggregation = ["-", "=2", "=4", "=8"] as const;
const headerEncryption = ["no", "17:2", "25:2", "33:2", "41:2"] as const;
const state = { insecure: 0, secure: 2 } as const;

const head = {
  ...extendedHead,
  capability: r32(
    0x04,
    {
      linkStreams: hwinit(0, "Lnk"),
      selectiveStreams: hwinit(1, "Sel"),
      flowThrough: hwinit(2, "FlowThru"),
      partialHeaderEncryption: hwinit(3, "PartHdr"),
      aggregation: hwinit(4, "Aggr"),
      pcrc: hwinit(5, "PCRC"),
      keyManagement: hwinit(6, "IDE_KM"),
      selectiveConfigRequests: hwinit(7, "SelCfg"),
      algorithms: hex(hwinit(12, 8, "Alg")),
      linkTrafficClasses: scaled(hwinit(15, 13, "TCs"), 1, { plus: 1 }),
      selectiveStreamCount: scaled(hwinit(23, 16), 1, { plus: 1 }),
      teeLimited: ro(24, "TeeLim"),
      xt: hwinit(25, "XT"),
    },
    "IDECap",
  ),
  control: r32(0x08, { flowThroughEnable: rw(2, "FTEn") }, "IDECtl"),
} as const;

/** The head of Integrity and Data Encryption, PCI Express Base Specification 7.9.26. Its streams follow. */
export const ideCapability = ownMap("IDE", 12, () => head);

const streamControl = {
  enable: rw(0, "En"),
  xtEnable: rw(1, "XT"),
  aggregationNonPosted: rw(3, 2, aggregation, "NPR"),
  aggregationPosted: rw(5, 4, aggregation, "PR"),
  aggregationCompletion: rw(7, 6, aggregation, "CPL"),
  pcrcEnable: rw(8, "PCRC"),
} as const;
const streamAlgorithm = {
  headerEncryption: rw(13, 10, headerEncryption, "HdrEnc"),
  algorithm: rw(18, 14, algorithm, "Alg"),
  trafficClass: rw(21, 19, "TC"),
} as const;
const streamStatus = (at: number, label: string) =>
  volatile(
    r32(at, { state: ro(3, 0, state, "Status"), integrityCheckFailed: rw1c(31, "RecvChkFail") }, label),
  );

/** Link IDE Stream Control and Status, 7.9.26.4. */
const linkStream = (at: number, index: number): Record<string, Entry> => ({
  [`linkStream${index}Control`]: r32(
    at,
    { ...streamControl, ...streamAlgorithm, id: rw(31, 24, "ID") },
    `LinkIDE#${index} Ctl`,
  ),
  [`linkStream${index}Status`]: streamStatus(at + 4, `LinkIDE#${index} Sta`),
});
const linkSize = 8;

const address = (options: JoinedOptions): JoinedOptions => ({ by: 0x10_0000, hex: true, ...options });

/** Selective IDE Stream registers, 7.9.26.5: with `blocks` address associations. */
function selectiveStream(at: number, index: number, blocks: number): Record<string, Entry> {
  const name = `selectiveStream${index}`;
  const label = `SelectiveIDE#${index}`;
  const entries: Record<string, Entry> = {
    [`${name}Capability`]: r32(at, { addressBlocks: hwinit(3, 0, "RID#") }, `${label} Cap`),
    [`${name}Control`]: r32(
      at + 4,
      {
        ...streamControl,
        configEnable: rw(9, "CFG"),
        ...streamAlgorithm,
        defaultStream: rw(22, "Default"),
        teeLimited: rw(23, "TeeLim"),
        id: rw(31, 24, "ID"),
      },
      `${label} Ctl`,
    ),
    [`${name}Status`]: streamStatus(at + 8, `${label} Sta`),
    [`${name}RidLimit`]: r32(at + 12, { limit: hex(rw(23, 8, "Limit")) }, `${label} RID`),
    [`${name}RidBase`]: r32(
      at + 16,
      { valid: rw(0, "Valid"), base: hex(rw(23, 8, "Base")), segmentBase: hex(rw(31, 24, "SegBase")) },
      `${label} RID`,
    ),
  };
  for (let block = 0; block < blocks; block++) {
    const from = at + selectiveSize + blockSize * block;
    const own = `${name}Address${block}`;
    const blockLabel = `${label} RID#${block}`;
    Object.assign(entries, {
      [`${own}Low`]: r32(
        from,
        { valid: rw(0, "Valid"), base: hex(rw(19, 8)), limit: hex(rw(31, 20)) },
        blockLabel,
      ),
      [`${own}LimitUpper`]: hex(r32(from + 4, "rw")),
      [`${own}BaseUpper`]: hex(r32(from + 8, "rw")),
      [`${own}Base`]: joinedBig(
        [`${own}BaseUpper`, `${own}Low.base`],
        address({ label: `${blockLabel}: Base` }),
      ),
      [`${own}Limit`]: joinedBig(
        [`${own}LimitUpper`, `${own}Low.limit`],
        address({ plus: 0xf_ffff, label: `${blockLabel}: Limit` }),
      ),
    });
  }
  return entries;
}
const selectiveSize = 20;
const blockSize = 12;

/** The link streams, and of each selective stream its address associations. */
interface Shape {
  readonly links: number;
  readonly blocks: readonly number[];
}

/** What the capability states, as far as there is room for it. */
function shapeOf(config: DataView, at: number, limit: number): Shape {
  const capability = limit >= 8 ? config.getUint32(at + 4, true) : 0;
  const stated = capability & 1 ? ((capability >>> 13) & 7) + 1 : 0;
  const links = fitting(stated, limit, ideCapability.size, linkSize);
  const selective = capability & 2 ? ((capability >>> 16) & 0xff) + 1 : 0;
  const blocks: number[] = [];
  let size = ideCapability.size + linkSize * links;
  while (blocks.length < selective && size + selectiveSize <= limit) {
    const wanted = config.getUint8(at + size) & 0xf;
    const count = fitting(wanted, limit, size + selectiveSize, blockSize);
    blocks.push(count);
    size += selectiveSize + blockSize * count;
    if (count < wanted) break;
  }
  return { links, blocks };
}

function build({ links, blocks }: Shape): RegisterBlock {
  let size: number = ideCapability.size;
  const entries: Record<string, Entry> = { ...head };
  for (let index = 0; index < links; index++, size += linkSize)
    Object.assign(entries, linkStream(size, index));
  for (const [index, count] of blocks.entries()) {
    Object.assign(entries, selectiveStream(size, index, count));
    size += selectiveSize + blockSize * count;
  }
  return ownMap("IDE", size, () => entries);
}

/** Shapes of real devices are few; what a hostile one makes up must not pile up. */
const remembered = 64;
const maps = new Map<string, RegisterBlock>();
function layout(config: DataView, at: number, limit: number): RegisterBlock {
  const shape = shapeOf(config, at, limit);
  const key = `${shape.links} ${shape.blocks.join(" ")}`;
  let map = maps.get(key);
  if (map) return map;
  if (maps.size >= remembered) maps.clear();
  maps.set(key, (map = build(shape)));
  return map;
}

/** Integrity and Data Encryption, with its streams. */
export const ide = extendedCapability(extendedCapabilityId.ide, "IDE", layout);
