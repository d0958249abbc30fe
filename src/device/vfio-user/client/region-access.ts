// REGION_READ and REGION_WRITE on the client's side. Nothing is allocated for an access that succeeds.
import { VfioError } from "../../../ffi/errors.ts";
import { regionName } from "../../../regs/vfio/regions.ts";
import { hex } from "../../address/range.ts";
import { bodyAt, Command, commandName } from "../messages/header.ts";
import { putRegionAccess, regionAccess } from "../messages/regions.ts";
import type { Link, Message } from "./link.ts";

const small = 8;

/** Accesses over one link. */
export class RegionAccess {
  readonly #link: Link;
  /** Data of one message, in bytes. */
  readonly #maxTransfer: number;
  #command = 0;
  #region = 0;
  #offset = 0;
  #count = 0;

  /** @param maxTransfer data that one message may carry, in bytes */
  constructor(link: Link, maxTransfer: number) {
    this.#link = link;
    this.#maxTransfer = maxTransfer;
  }

  readonly #what = (): string =>
    `${commandName(this.#command)} of ${this.#count} bytes at ${regionName(this.#region)} ${hex(this.#offset)}`;

  #begin(command: number, region: number, offset: number, count: number): number {
    this.#command = command;
    this.#region = region;
    this.#offset = offset;
    this.#count = count;
    const { view, outAt } = this.#link.request;
    const at = outAt + bodyAt;
    putRegionAccess(view, at, offset, region, count);
    return at + regionAccess.size;
  }

  /** Fills `data`. @throws VfioError with what the server says, EPROTO for a reply that is short */
  read(region: number, offset: number, data: Uint8Array): void {
    for (let done = 0; done < data.length;) {
      const count = Math.min(this.#maxTransfer, data.length - done);
      this.#begin(Command.regionRead, region, offset + done, count);
      const reply = this.#link.call(Command.regionRead, regionAccess.size, this.#what);
      this.#check(reply, count);
      const { bytes } = this.#link.connection;
      const from = reply.at + regionAccess.size;
      if (count <= small) for (let i = 0; i < count; i++) data[done + i] = bytes[from + i]!;
      else data.set(bytes.subarray(from, from + count), done);
      done += count;
    }
  }

  /** Writes all of `data`. @param posted whether nobody waits for an answer @throws VfioError as `read` */
  write(region: number, offset: number, data: Uint8Array, posted: boolean): void {
    for (let done = 0; done < data.length;) {
      const count = Math.min(this.#maxTransfer, data.length - done);
      const to = this.#begin(Command.regionWrite, region, offset + done, count);
      const { bytes } = this.#link.connection;
      if (count <= small) for (let i = 0; i < count; i++) bytes[to + i] = data[done + i]!;
      else bytes.set(count === data.length ? data : data.subarray(done, done + count), to);
      const size = regionAccess.size + count;
      if (posted) this.#link.post(Command.regionWrite, size);
      else this.#check(this.#link.call(Command.regionWrite, size, this.#what), 0);
      done += count;
    }
  }

  /** @param data bytes that have to follow the fixed part */
  #check(reply: Message, data: number): void {
    const { view, peer } = this.#link.connection;
    const isWhole = reply.size >= regionAccess.size + data;
    const told = isWhole ? view.getUint32(reply.at + regionAccess.at.count, true) : 0;
    if (isWhole && told === this.#count) return;
    throw new VfioError(`${peer}: the reply to ${this.#what()} has ${reply.size} bytes and says ${told}`, {
      code: "EPROTO",
      errno: 71,
      request: this.#what(),
      device: peer,
    });
  }
}
