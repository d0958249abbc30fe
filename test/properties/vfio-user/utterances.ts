// What a client says to a server, most of it right and some mutated.
import { Command } from "../../../src/device/vfio-user/messages/header.ts";
import { mutated } from "../../support/mutated-bytes.ts";
import type { Random } from "../../support/random.ts";
import { joined, le32, le64, message, versionBody } from "../../support/raw-peer.ts";
import { socketRegister } from "../../support/socket-device.ts";

/** A message to be sent. */
export interface Utterance {
  readonly bytes: Uint8Array;
  readonly fds: readonly number[];
}

/** Descriptors that are sent along. */
export interface Descriptors {
  readonly file: number;
  readonly eventfd: number;
}

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

/** The next thing that a client says. @param id of the request */
export function utterance(random: Random, fds: Descriptors, id: number): Utterance {
  const command = random.pick(random.below(4) === 0 ? commands : doable);
  const [body, own] = bodies[command]!(random, fds);
  const flags = random.below(12) === 0 ? 0x10 : 0;
  const right = { bytes: message(command, body, { id, flags }), fds: own };
  switch (random.below(10)) {
    case 0:
      // Wrong inside, right outside.
      return { bytes: message(command, mutated(body, random), { id, flags }), fds: own };
    case 1:
      if (random.below(4) === 0) return { bytes: mutated(right.bytes, random), fds: own };
      return {
        bytes: right.bytes,
        fds: Array.from({ length: random.below(4) }, () => random.pick([fds.file, fds.eventfd])),
      };
    case 2: {
      if (random.below(4) > 0) return right;
      // An answer to a question that may never have been asked.
      const question = random.pick([Command.dmaRead, Command.dmaWrite]);
      const options = { id: 0x8000 + random.below(16), flags: random.pick([1, 0x21, 2, 3]) };
      return { bytes: message(question, mutated(le64(0, 8, 0), random), options), fds: [] };
    }
    default:
      return right;
  }
}

/** Where `transfer` maps memory. */
const ownMemory = 128 * page;

/**
 * What has the device do DMA: a map, an address and a length, the order, and an answer to what the server asks where the map
 * has no descriptor. Mostly right.
 * @param id of the first of three requests @param question the id that the server's next request has
 */
export function transfer(random: Random, { file }: Descriptors, id: number, question: number): Utterance[] {
  const length = 1 + random.below(64);
  const isRead = random.below(2) === 0;
  const byMessage = random.below(4) > 0;
  const iova = ownMemory + random.below(16) * page;
  const at = iova + random.pick([0, 8, 8, page - 64, page - 64, page - 16]);
  const write = (offset: number, data: Uint8Array): Uint8Array =>
    message(Command.regionWrite, joined(le64(offset), le32(0, data.length), data), { id: id++ });
  const flags = random.pick([3, 3, 3, 1, 2, ...(byMessage ? [] : [3 + 8])]);
  const offset = byMessage ? 0 : random.below(8) * page;
  const map = message(Command.dmaMap, joined(le32(32, flags), le64(offset, iova, page)), { id: id++ });
  const data = new Uint8Array(isRead ? length : 0);
  random.fill(data);
  const answer = message(isRead ? Command.dmaRead : Command.dmaWrite, joined(le64(at, length), data), {
    ...{ id: question, flags: 1 },
  });
  return [
    { bytes: map, fds: byMessage ? [] : [file] },
    ...[
      write(socketRegister.address, joined(le64(at), le32(length))),
      write(socketRegister.command, le32(isRead ? 1 : 2)),
    ].map((bytes) => ({ bytes, fds: [] })),
    { bytes: random.below(6) === 0 ? mutated(answer, random) : answer, fds: [] },
  ];
}
