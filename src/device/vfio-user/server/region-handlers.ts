// Accesses to regions: what guests cause all the time. Nothing is allocated for an access of up to 8 bytes.
import { bodyAt } from "../messages/header.ts";
import {
  putRegionAccess,
  regionAccess,
  writeMulti,
  writeRecord,
  writeRecordSize,
} from "../messages/regions.ts";
import { refusal } from "../refusals.ts";
import { getU64 } from "../wire.ts";
import type { Handler, SessionContext } from "./context.ts";

const small = 8;
const field = regionAccess.at;

/** Views that are made once for a session: a place for the data of small accesses, each way. */
export class AccessBuffers {
  /** By size, for data that goes to the device. */
  readonly #toDevice: Uint8Array[];
  /** By size, over the place of a reply's data. */
  readonly #reply: Uint8Array[];
  readonly #bytes: Uint8Array;
  readonly #replyAt: number;
  /** Of `#toDevice`, what a device has now: it may wait for DMA, and another write comes meanwhile. */
  #lent: Uint8Array | undefined;

  /** @param outAt where messages that go out begin in `bytes` */
  constructor(bytes: Uint8Array, outAt: number) {
    this.#bytes = bytes;
    this.#replyAt = outAt + bodyAt + regionAccess.size;
    const memory = new Uint8Array(new ArrayBuffer(small));
    this.#toDevice = Array.from({ length: small + 1 }, (_, size) => memory.subarray(0, size));
    this.#reply = Array.from({ length: small + 1 }, (_, size) =>
      bytes.subarray(this.#replyAt, this.#replyAt + size),
    );
  }

  /** Where a reply's data of `count` bytes goes. */
  reply(count: number): Uint8Array {
    return this.#reply[count] ?? this.#bytes.subarray(this.#replyAt, this.#replyAt + count);
  }

  /** A copy of data that came, for `giveBack`: more messages may come while the device has it. */
  copy(at: number, count: number): Uint8Array {
    const view = this.#toDevice[count];
    if (!view || this.#lent) return this.#bytes.slice(at, at + count);
    for (let i = 0; i < count; i++) view[i] = this.#bytes[at + i]!;
    return (this.#lent = view);
  }

  giveBack(data: Uint8Array): void {
    if (data === this.#lent) this.#lent = undefined;
  }
}

/** Whether an access lies in a region that is there. */
function isInside(
  { regions, limits }: SessionContext,
  region: number,
  offset: number,
  count: number,
): boolean {
  const info = regions[region];
  // Differences only: an offset of 2^53 or more is not exact.
  return (
    info !== undefined && count <= limits.maxTransfer && offset <= info.size && count <= info.size - offset
  );
}

/** REGION_READ. */
export const regionRead =
  (buffers: AccessBuffers): Handler =>
  (context, request) => {
    const { connection, device } = context;
    const { view, outAt } = connection;
    if (request.size < regionAccess.size) return refusal.invalid;
    const { at } = request;
    const offset = getU64(view, at + field.offset);
    const region = view.getUint32(at + field.region, true);
    const count = view.getUint32(at + field.count, true);
    if (!isInside(context, region, offset, count)) return refusal.invalid;
    if (count > 0) device.read(region, offset, buffers.reply(count));
    // The fixed part of a reply repeats that of the request.
    putRegionAccess(view, outAt + bodyAt, offset, region, count);
    return regionAccess.size + count;
  };

/** REGION_WRITE. */
export const regionWrite =
  (buffers: AccessBuffers): Handler =>
  (context, request) => {
    const { connection, device } = context;
    const { view, outAt } = connection;
    if (request.size < regionAccess.size) return refusal.invalid;
    const { at } = request;
    const offset = getU64(view, at + field.offset);
    const region = view.getUint32(at + field.region, true);
    const count = view.getUint32(at + field.count, true);
    if (count > request.size - regionAccess.size || !isInside(context, region, offset, count))
      return refusal.invalid;
    // A reply may go out while the device works: it is there already.
    putRegionAccess(view, outAt + bodyAt, offset, region, count);
    const data = buffers.copy(at + regionAccess.size, count);
    try {
      if (count > 0) device.write(region, offset, data);
    } finally {
      buffers.giveBack(data);
    }
    putRegionAccess(view, outAt + bodyAt, offset, region, count);
    return regionAccess.size;
  };

/** REGION_WRITE_MULTI: in order; the first that fails is told of, and the others are done all the same. */
export const regionWriteMulti: Handler = (context, { at, size }) => {
  const { connection, device } = context;
  const { view, outAt } = connection;
  if (size < writeMulti.size) return refusal.invalid;
  const count = getU64(view, at);
  if (count * writeRecordSize !== size - writeMulti.size) return refusal.invalid;
  const writes = Array.from({ length: count }, (_, i) => {
    const record = at + writeMulti.size + i * writeRecordSize;
    const data = record + writeRecord.size;
    return { ...writeRecord.decode(view, record), data: connection.bytes.slice(data, data + small) };
  });
  const isValid = ({ region, offset, count: bytes }: (typeof writes)[number]): boolean =>
    bytes <= small && isInside(context, region, offset, bytes);
  writeMulti.encode(view, outAt + bodyAt, { writes: count });
  let failure: { readonly error: unknown } | undefined;
  for (const write of writes)
    try {
      if (isValid(write)) device.write(write.region, write.offset, write.data.subarray(0, write.count));
    } catch (error) {
      failure ??= { error };
    }
  if (failure) throw failure.error;
  if (!writes.every(isValid)) return refusal.invalid;
  writeMulti.encode(view, outAt + bodyAt, { writes: count });
  return writeMulti.size;
};
