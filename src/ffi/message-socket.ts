// Bytes and descriptors over a connected AF_UNIX stream socket: one system call each way, and no memory but an arena's.
import type { Pointer } from "bun:ffi";
import type { Arena, ArenaPiece } from "./arena.ts";
import { ancillaryType, messageFlag, socketLevel } from "./constants.ts";
import { VfioError } from "./errors.ts";
import { systemCalls } from "./system-calls.ts";

/** SCM_MAX_FD of linux/net/scm.h: the most descriptors that one sendmsg(2) carries. */
export const maxDescriptors = 253;

/** Layout of struct msghdr on 64-bit Linux, in bytes; with one struct iovec and the ancillary data behind it. */
const msghdr = { iov: 16, iovCount: 24, control: 32, controlSize: 40, flags: 48, size: 56 } as const;
const iovecSize = 16;
/** struct cmsghdr: a length of 64 bits, level, type; then the descriptors. */
const cmsghdr = { level: 8, type: 12, data: 16 } as const;
const controlRoom = cmsghdr.data + 4 * maxDescriptors + 4;

const interrupted = 4;

/** Bytes that `MessageSocket` takes of its arena besides those of the messages. */
export const messageSocketOverhead = 2 * (msghdr.size + iovecSize + controlRoom + 64);

/** A msghdr with its iovec and its control buffer. */
class MessageHeader {
  readonly address: number;
  readonly #view: DataView;
  readonly #at: number;
  readonly #iovec: number;
  readonly control: number;

  constructor(arena: Arena) {
    const header = arena.take(msghdr.size);
    const iovec = arena.take(iovecSize);
    const control = arena.take(controlRoom);
    this.#view = arena.view;
    this.#at = header.offset;
    this.address = header.address;
    this.#iovec = iovec.offset;
    this.control = control.offset;
    setAddress(arena.view, header.offset + msghdr.iov, iovec.address);
    arena.view.setUint32(header.offset + msghdr.iovCount, 1, true);
    setAddress(arena.view, header.offset + msghdr.control, control.address);
  }

  set(address: number, size: number, controlSize: number): void {
    const view = this.#view;
    setAddress(view, this.#iovec, address);
    view.setUint32(this.#iovec + 8, size, true);
    view.setUint32(this.#at + msghdr.controlSize, controlSize, true);
    view.setUint32(this.#at + msghdr.flags, 0, true);
  }
  get controlSize(): number {
    return this.#view.getUint32(this.#at + msghdr.controlSize, true);
  }
  get flags(): number {
    return this.#view.getUint32(this.#at + msghdr.flags, true);
  }
}

/** 64 bits without a BigInt. */
function setAddress(view: DataView, at: number, address: number): void {
  view.setUint32(at, address % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(address / 2 ** 32), true);
}

/**
 * Sends and receives over a socket, from and into an arena. The socket and the arena stay their owner's. Descriptors that
 * came are in `received`, the caller's to close, and are closed on exec.
 */
export class MessageSocket {
  /** The connection. */
  readonly fd: number;
  /** Descriptors that came with the last `receive`, in order; the caller empties it. */
  readonly received: number[] = [];
  readonly #arena: Arena;
  readonly #in: MessageHeader;
  readonly #out: MessageHeader;

  /** Nothing is received before it is asked for. @param fd a connected socket @param arena with `messageSocketOverhead` bytes left */
  constructor(fd: number, arena: Arena) {
    this.fd = fd;
    this.#arena = arena;
    this.#in = new MessageHeader(arena);
    this.#out = new MessageHeader(arena);
  }

  /**
   * Takes what has come, as far as there is room: one recvmsg(2). Linux ends it behind bytes that carry descriptors, so
   * these belong to the last message that begins in it.
   * @param piece of the arena @param offset where in the piece, in bytes @param size room there, in bytes; at least 1
   * @param wait whether to wait, as long as the socket's receive timeout lets it
   * @returns bytes; 0 where the peer has closed; minus the errno: EAGAIN for nothing in time
   * @throws VfioError (`ETOOMANYREFS`) where descriptors were lost; those that came are closed
   */
  receive(piece: ArenaPiece, offset: number, size: number, wait: boolean): number {
    const message = this.#in;
    const flags = messageFlag.CMSG_CLOEXEC | (wait ? 0 : messageFlag.DONTWAIT);
    let count: number;
    do {
      message.set(piece.address + offset, size, controlRoom);
      count = systemCalls().recvmsg(this.fd, message.address as Pointer, flags);
    } while (count === -interrupted);
    if (count < 0) return count;
    if (message.controlSize > 0) this.#takeDescriptors();
    if ((message.flags & messageFlag.CTRUNC) !== 0) this.#lost();
    return count;
  }

  #takeDescriptors(): void {
    const { view } = this.#arena;
    const { control, controlSize } = this.#in;
    for (let at = control; at + cmsghdr.data <= control + controlSize;) {
      const length = view.getUint32(at, true);
      if (length < cmsghdr.data) return;
      const isRights =
        view.getInt32(at + cmsghdr.level, true) === socketLevel.SOCKET &&
        view.getInt32(at + cmsghdr.type, true) === ancillaryType.RIGHTS;
      for (let fd = at + cmsghdr.data; isRights && fd + 4 <= at + length; fd += 4)
        this.received.push(view.getInt32(fd, true));
      at += Math.ceil(length / 8) * 8;
    }
  }

  #lost(): never {
    this.closeReceived();
    throw new VfioError("descriptors that a peer sent were lost: recvmsg sets MSG_CTRUNC", {
      code: "ETOOMANYREFS",
      errno: 109,
      syscall: "recvmsg",
      hint: "The limit of open files is reached (`ulimit -n`), or the peer sent more than fit.",
    });
  }

  /** Closes the descriptors that came and that nobody took. */
  closeReceived(): void {
    for (const fd of this.received) systemCalls().close(fd);
    this.received.length = 0;
  }

  /**
   * Sends all of a message: one sendto(2) or sendmsg(2) unless the socket takes it in parts.
   * @param piece of the arena @param offset where in the piece, in bytes @param size in bytes
   * @param descriptors that go with the first byte, 253 at most; they stay the caller's
   * @returns 0, or minus the errno: EPIPE where the peer has gone, EAGAIN where it did not read in time
   */
  send(piece: ArenaPiece, offset: number, size: number, descriptors?: readonly number[]): number {
    const many = descriptors?.length ?? 0;
    const calls = systemCalls();
    let done = 0;
    if (many > 0) {
      const message = this.#out;
      message.set(piece.address + offset, size, this.#putDescriptors(descriptors!));
      let sent: number;
      do sent = calls.sendmsg(this.fd, message.address as Pointer, messageFlag.NOSIGNAL);
      while (sent === -interrupted);
      if (sent < 0) return sent;
      done = sent;
    }
    while (done < size) {
      const from = (piece.address + offset + done) as Pointer;
      const sent = calls.sendto(this.fd, from, size - done, messageFlag.NOSIGNAL, null, 0);
      if (sent === -interrupted) continue;
      if (sent < 0) return sent;
      done += sent;
    }
    return 0;
  }

  /** @returns size of the control data; the kernel takes its alignment amiss if it is missing */
  #putDescriptors(descriptors: readonly number[]): number {
    if (descriptors.length > maxDescriptors)
      throw new RangeError(
        `a message carries ${maxDescriptors} descriptors at most, not ${descriptors.length}`,
      );
    const { view } = this.#arena;
    const { control } = this.#out;
    const length = cmsghdr.data + 4 * descriptors.length;
    view.setUint32(control, length, true);
    view.setUint32(control + 4, 0, true);
    view.setInt32(control + cmsghdr.level, socketLevel.SOCKET, true);
    view.setInt32(control + cmsghdr.type, ancillaryType.RIGHTS, true);
    descriptors.forEach((fd, i) => view.setInt32(control + cmsghdr.data + 4 * i, fd, true));
    return Math.ceil(length / 8) * 8;
  }
}
