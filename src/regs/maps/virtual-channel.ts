import { extendedCapability, extendedHead } from "../capability.ts";
import { hex, hwinit, ro, rw, scaled, volatile } from "../field.ts";
import { ownMap, type RegisterBlock } from "../map.ts";
import { r16, r32 } from "../register.ts";
import { repeat } from "./repeat.ts";
import { extendedCapabilityId } from "./ids.ts";
import { hexDigits } from "../hex-text.ts";

const portArbitrations = ["Fixed", "WRR32", "WRR64", "WRR128"] as const;
const resourceArbitrations = ["Fixed", "WRR32", "WRR64", "WRR128", "TWRR128", "WRR256"] as const;
/** Entries of the table that each arbitration scheme uses, by its number. */
const phases = [0, 32, 64, 128, 128, 256] as const;
/** Bytes of the registers of one virtual channel. */
export const virtualChannelSize = 12;
const channelsAt = 0x10;

/** The registers before the virtual channels, PCI Express Base Specification 7.9.1. */
export const virtualChannelPort = {
  ...extendedHead,
  portCapability1: r32(
    0x04,
    {
      /** Virtual channels besides VC0. */
      extendedChannels: ro(2, 0),
      lowPriorityChannels: ro(6, 4, "LPEVC"),
      referenceClock: ro(9, 8, ["100ns"], "RefClk"),
      /** Bits of one entry of a port arbitration table. */
      tableEntryBits: ro(11, 10, ["1", "2", "4", "8"], "PATEntryBits"),
    },
    "Caps",
  ),
  portCapability2: r32(
    0x08,
    {
      fixed: ro(0, "Fixed"),
      roundRobin32: ro(1, "WRR32"),
      roundRobin64: ro(2, "WRR64"),
      roundRobin128: ro(3, "WRR128"),
      /** In bytes from the capability; 0 without a table. */
      tableOffset: hex(scaled(ro(31, 24), 16)),
    },
    "Arb",
  ),
  portControl: r16(0x0c, { loadTable: rw(0), arbitration: rw(3, 1, portArbitrations, "ArbSelect") }, "Ctrl"),
  portStatus: volatile(r16(0x0e, { tableInProgress: ro(0, "InProgress") }, "Status")),
} as const;

/** What every VC capability begins with. */
export const virtualChannelHead = ownMap("VC", channelsAt, () => virtualChannelPort);

/** One virtual channel; the channel 0 cannot be disabled or renumbered. */
function channel(index: number) {
  const at = channelsAt + virtualChannelSize * index;
  const own = index === 0 ? ro : rw;
  return {
    [`vc${index}Capability`]: r32(
      at,
      {
        fixed: ro(0, "Arb: Fixed"),
        roundRobin32: ro(1, "Arb: WRR32"),
        roundRobin64: ro(2, "Arb: WRR64"),
        roundRobin128: ro(3, "Arb: WRR128"),
        timeBasedRoundRobin128: ro(4, "Arb: TWRR128"),
        roundRobin256: ro(5, "Arb: WRR256"),
        rejectSnoopTransactions: hwinit(15, "Caps: RejSnoopTrans"),
        maxTimeSlots: scaled(hwinit(22, 16, "Caps: MaxTimeSlots"), 1, { plus: 1 }),
        /** In bytes from the capability; 0 without a table. */
        tableOffset: hex(scaled(ro(31, 24, "Caps: PATOffset"), 16)),
      },
      `VC${index}`,
    ),
    [`vc${index}Control`]: r32(
      at + 4,
      {
        trafficClasses: hex(rw(7, 0, "TC/VC")),
        loadTable: rw(16),
        arbitration: rw(19, 17, resourceArbitrations, "ArbSelect"),
        id: own(26, 24, "ID"),
        enable: own(31, "Enable"),
      },
      `VC${index}: Ctrl`,
    ),
    [`vc${index}Status`]: volatile(
      r16(
        at + 10,
        { tableInProgress: ro(0, "InProgress"), negotiationPending: ro(1, "NegoPending") },
        `VC${index}: Status`,
      ),
    ),
  };
}

interface Shape {
  /** 1 to 8. */
  readonly channels: number;
  /** First byte and end of the arbitration tables, both 0 without one. */
  readonly tablesAt: number;
  readonly tablesEnd: number;
}

function build({ channels, tablesAt, tablesEnd }: Shape): RegisterBlock {
  const end = channelsAt + virtualChannelSize * channels;
  return ownMap("VC", Math.max(end, tablesEnd), () => ({
    ...virtualChannelPort,
    ...repeat(channels, channel),
    ...repeat((tablesEnd - tablesAt) / 4, (i) => {
      const at = tablesAt + 4 * i;
      return { [`table${hexDigits(at)}`]: hex(r32(at, "rw", "Table")) };
    }),
  }));
}

/** Shapes of real devices are few; what a hostile one makes up must not pile up. */
const remembered = 64;
const maps = new Map<string, RegisterBlock>();
function mapOf(shape: Shape): RegisterBlock {
  const key = `${shape.channels} ${shape.tablesAt} ${shape.tablesEnd}`;
  let map = maps.get(key);
  if (map) return map;
  if (maps.size >= remembered) maps.clear();
  maps.set(key, (map = build(shape)));
  return map;
}

/** Entries of the longest table that the schemes of a capability register use. */
const longest = (schemes: number): number =>
  Math.max(0, ...phases.filter((_, scheme) => (schemes >>> scheme) & 1));

function layout(config: DataView, at: number, limit: number): RegisterBlock {
  const read = (offset: number): number => (offset + 4 <= limit ? config.getUint32(at + offset, true) : 0);
  const capability1 = read(0x04);
  const capability2 = read(0x08);
  const channels = (capability1 & 7) + 1;
  const end = channelsAt + virtualChannelSize * channels;
  const tables: { start: number; bytes: number }[] = [
    { start: 16 * (capability2 >>> 24), bytes: longest(capability2 & 0xe) / 2 },
  ];
  for (let i = 0; i < channels; i++) {
    const capability = read(channelsAt + virtualChannelSize * i);
    const entryBits = 1 << ((capability1 >>> 10) & 3);
    tables.push({ start: 16 * (capability >>> 24), bytes: (longest(capability & 0x3e) * entryBits) / 8 });
  }
  // A table that lies over the registers or the next capability is none.
  const fit = tables.filter(({ start, bytes }) => bytes > 0 && start >= end && start + bytes <= limit);
  const tablesAt = fit.length > 0 ? Math.min(...fit.map(({ start }) => start)) : 0;
  const tablesEnd = Math.max(0, ...fit.map(({ start, bytes }) => start + bytes));
  return mapOf({ channels, tablesAt, tablesEnd });
}

/** Virtual Channel, and the same under the ID that goes with a Multi-Function Virtual Channel. */
export const virtualChannel = extendedCapability(extendedCapabilityId.virtualChannel, "VC", layout);
export const virtualChannel9 = extendedCapability(extendedCapabilityId.virtualChannel9, "VC9", layout);
/** Multi-Function Virtual Channel, 7.9.2: the same layout, arbitrating between functions. */
export const multiFunctionVirtualChannel = extendedCapability(
  extendedCapabilityId.multiFunctionVirtualChannel,
  "MFVC",
  layout,
);
