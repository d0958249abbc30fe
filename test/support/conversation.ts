// Conversations of a client with a server, most messages right and some mutated.
import { Command, header } from "../../src/device/vfio-user/messages/header.ts";
import { mutated } from "./mutated-bytes.ts";
import type { Random } from "./random.ts";
import { joined, le32, le64, versionBody } from "./raw-peer.ts";

/** A message to be sent. */
export interface Utterance {
  readonly command: number;
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
  /** Nothing is wrong with it: whether it succeeds is the device's to say. */
  readonly isRight: boolean;
}

/** Descriptors that are sent along. */
export interface Descriptors {
  readonly file: number;
  readonly eventfd: number;
}

export const message = (
  command: number,
  body: Uint8Array,
  { id = 0, flags = 0, error = 0, size = header.size + body.length } = {},
): Uint8Array => {
  const head = new DataView(new ArrayBuffer(header.size));
  header.encode(head, 0, { id, command, size, flags, error });
  return joined(new Uint8Array(head.buffer), body);
};

const page = 4096;
const offsets = [0, 4, 8, 0x10, 0x14, 0x18, 0x800, 0x900, 0xff8, 0xffc, 0xfff];

/** Bodies that a client could mean, by command. */
const bodies: Readonly<Record<number, (random: Random, fds: Descriptors) => [Uint8Array, number[]]>> = {
  [Command.dmaMap]: (random, { file }) => {
    const iova = random.below(64) * page;
    const withFile = random.below(2) === 0;
    const body = joined(
      le32(32, 1 + random.below(3)),
      le64(withFile ? random.below(4) * page : 0, iova, page),
    );
    return [body, withFile ? [file] : []];
  },
  [Command.dmaUnmap]: (random) =>
    random.below(8) === 0
      ? [joined(le32(24, 2), le64(0, 0)), []]
      : [joined(le32(24, 0), le64(random.below(64) * page, page * (1 + random.below(4)))), []],
  [Command.deviceInfo]: () => [le32(16, 0, 0, 0), []],
  [Command.regionInfo]: (random) => [
    joined(le32(random.pick([32, 80, 4096]), 0, random.below(10), 0), le64(0, 0)),
    [],
  ],
  [Command.regionIoFds]: (random) => [le32(16, 0, random.below(9), 0), []],
  [Command.irqInfo]: (random) => [le32(16, 0, random.below(6), 0), []],
  [Command.setIrqs]: (random, { eventfd }) => {
    const start = random.below(4);
    const kind = random.below(4);
    if (kind === 0) return [le32(20, 0x24, 2, start, 1), [eventfd]];
    if (kind === 1) return [le32(20, 0x21, 2, 0, 0), []];
    if (kind === 2) return [joined(le32(20, 0x22, 2, start, 1), Uint8Array.of(1)), []];
    return [le32(20, 0x24, 2, start, 1), []];
  },
  [Command.regionRead]: (random) => [
    joined(le64(random.pick(offsets)), le32(random.pick([0, 0, 1, 7]), random.pick([1, 2, 4, 8, 16, 256]))),
    [],
  ],
  [Command.regionWrite]: (random) => {
    const data = new Uint8Array(random.pick([1, 2, 4, 8, 64]));
    random.fill(data);
    return [joined(le64(random.pick(offsets)), le32(random.pick([0, 0, 1, 7]), data.length), data), []];
  },
  [Command.dmaRead]: () => [le64(0, 4), []],
  [Command.dmaWrite]: () => [joined(le64(0, 4), le32(1)), []],
  [Command.reset]: () => [new Uint8Array(), []],
  [Command.dirtyPages]: () => [le32(16, 1), []],
  [Command.regionWriteMulti]: (random) => {
    const records = Array.from({ length: 1 + random.below(4) }, () =>
      joined(le64(0x900 + 8 * random.below(32)), le32(0, 1 + random.below(8)), le64(random.below(2 ** 32))),
    );
    return [joined(le64(records.length), ...records), []];
  },
  [Command.feature]: (random) => [le32(8, random.below(12) + 2 ** 16), []],
  [Command.migrationRead]: () => [le32(4104, 4096), []],
  [Command.migrationWrite]: () => [joined(le32(16, 8), le64(0)), []],
  /** Answers to a DMA request, of which there may be one. */
  [Command.version]: () => [versionBody(), []],
};
const commands = Object.keys(bodies).map(Number);

/** What a server can do successfully: the others are always refused. */
export const doable: readonly number[] = [
  Command.dmaMap,
  Command.dmaUnmap,
  Command.deviceInfo,
  Command.regionInfo,
  Command.irqInfo,
  Command.setIrqs,
  Command.regionRead,
  Command.regionWrite,
  Command.reset,
  Command.regionWriteMulti,
];

/** The next thing that a client says. */
export function utterance(random: Random, fds: Descriptors, id: number): Utterance {
  const command = random.pick(random.below(4) === 0 ? commands : doable);
  const [body, own] = bodies[command]!(random, fds);
  const flags = random.below(12) === 0 ? 0x10 : 0;
  const right = { command, bytes: message(command, body, { id, flags }), fds: own, isRight: true };
  switch (random.below(10)) {
    case 0:
      // Wrong inside, right outside.
      return { ...right, bytes: message(command, mutated(body, random), { id, flags }), isRight: false };
    case 1:
      return random.below(4) === 0
        ? { ...right, bytes: mutated(right.bytes, random), isRight: false }
        : {
            ...right,
            fds: Array.from({ length: random.below(4) }, () => random.pick([fds.file, fds.eventfd])),
            isRight: false,
          };
    case 2:
      return random.below(4) === 0
        ? {
            ...right,
            // An answer to a question that may never have been asked.
            bytes: message(random.pick([Command.dmaRead, Command.dmaWrite]), mutated(le64(0, 8, 0), random), {
              id: 0x8000 + random.below(16),
              flags: random.pick([1, 0x21, 2, 3]),
            }),
            isRight: false,
          }
        : right;
    default:
      return right;
  }
}
