// A vfio-user server in a thread of its own that is right in everything but what it is told to do wrong.
import {
  acceptUnix,
  Arena,
  FileDescriptor,
  listenUnix,
  MemoryFile,
  MessageSocket,
  messageSocketOverhead,
  type ArenaPiece,
} from "../../src/ffi/index.ts";
import { Command, header } from "../../src/device/vfio-user/messages/header.ts";
import { joined, le32, le64, versionBody } from "./raw-peer.ts";

export type Misbehaviour =
  | "refused"
  | "refused-without-errno"
  | "short"
  | "wrong-count"
  | "header-only"
  | "wrong-id"
  | "wrong-command"
  | "tiny-size"
  | "huge-size"
  | "closes"
  | "closes-midway"
  | "silent"
  | "dribbles"
  | "late"
  | "asks-without-end"
  | "asks-nonsense"
  | "version-major"
  | "version-text"
  | "version-twin-without-socket"
  | "version-refused"
  | "not-pci"
  | "many-regions"
  | "region-of-another-index"
  | "region-caps-loop"
  | "region-caps-outside"
  | "region-many-areas"
  | "region-huge"
  | "region-grows"
  | "irq-of-another-index"
  | "irq-many"
  | "refuses-infos"
  | "small-file"
  | "many-fds"
  | "remembers";

/** What the thread is told. */
export interface ServerOrders {
  readonly path: string;
  readonly misbehaviour: Misbehaviour;
  /** Of "late", in milliseconds. */
  readonly delay?: number | undefined;
}

const reply = 1;
const failed = 0x21;
const room = 2 ** 21;
const file = new MemoryFile({ size: 4096, name: "region" });

/** One connection, right and wrong. */
class Script {
  readonly #fd: number;
  readonly #arena = new Arena(2 * room + messageSocketOverhead, "a scripted server");
  readonly #messages: MessageSocket;
  readonly #in: ArenaPiece;
  readonly #out: ArenaPiece;
  readonly #orders: ServerOrders;
  readonly #changes: number[] = [];
  readonly #config = new Uint8Array(256).fill(7);
  #grown = 32;

  constructor(fd: number, orders: ServerOrders) {
    this.#fd = fd;
    this.#orders = orders;
    this.#messages = new MessageSocket(fd, this.#arena);
    this.#in = this.#arena.take(room);
    this.#out = this.#arena.take(room);
  }

  #raw(bytes: Uint8Array, fds: readonly number[] = []): boolean {
    this.#arena.bytes.set(bytes, this.#out.offset);
    return this.#messages.send(this.#out, 0, bytes.length, fds) === 0;
  }

  #send(
    { id, command }: { id: number; command: number },
    body: Uint8Array,
    { flags = reply, error = 0, size = header.size + body.length, fds = [] as readonly number[] } = {},
  ): boolean {
    const head = new DataView(new ArrayBuffer(header.size));
    header.encode(head, 0, { id, command, size, flags, error });
    return this.#raw(joined(new Uint8Array(head.buffer), body), fds);
  }

  /** One request at a time, header and body: this server is in no hurry. */
  run(): void {
    for (;;) {
      let have = 0;
      let size: number = header.size;
      while (have < size) {
        const count = this.#messages.receive(this.#in, have, size - have, true);
        if (count <= 0) return;
        have += count;
        if (have === header.size) size = this.#arena.view.getUint32(this.#in.offset + header.at.size, true);
      }
      this.#messages.closeReceived();
      const { view, bytes } = this.#arena;
      const request = header.decode(view, this.#in.offset);
      const body = bytes.slice(this.#in.offset + header.size, this.#in.offset + size);
      if ((request.flags & 0xf) === 0 && !this.#answer(request, body)) return;
    }
  }

  /** @returns false to close the connection */
  #answer(request: Record<"id" | "command", number>, body: Uint8Array): boolean {
    const { misbehaviour } = this.#orders;
    const word = (at: number): number => new DataView(body.buffer).getUint32(at, true);
    const refuse = (error: number): boolean =>
      this.#send(request, new Uint8Array(), { flags: failed, error });
    switch (request.command) {
      case Command.version:
        return this.#version(request);
      case Command.deviceInfo: {
        const flags = misbehaviour === "not-pci" ? 1 : 3;
        return this.#send(request, le32(16, flags, misbehaviour === "many-regions" ? 5000 : 9, 5));
      }
      case Command.regionInfo:
        return misbehaviour === "refuses-infos" ? refuse(22) : this.#region(request, word(8), word(0));
      case Command.irqInfo: {
        if (misbehaviour === "refuses-infos") return refuse(22);
        const index = misbehaviour === "irq-of-another-index" ? 4 - word(8) + 1 : word(8);
        const count = misbehaviour === "irq-many" ? 0x7fffffff : index === 2 ? 4 : 0;
        return this.#send(request, le32(16, 1, index, count));
      }
      case Command.regionRead:
        return this.#read(request, body, word(8), word(12));
      case Command.regionWrite: {
        const offset = word(0);
        // The end of this server, on demand.
        if (word(8) === 0 && offset === 0xff0) return false;
        if (word(8) === 7) this.#config.set(body.subarray(16), offset);
        this.#changes.push(request.command);
        return this.#send(request, body.slice(0, 16));
      }
      case Command.dmaUnmap:
        return this.#send(request, body);
      default:
        this.#changes.push(request.command);
        return this.#send(request, new Uint8Array());
    }
  }

  #version(request: Record<"id" | "command", number>): boolean {
    const { misbehaviour } = this.#orders;
    if (misbehaviour === "version-refused")
      return this.#send(request, new Uint8Array(), { flags: failed, error: 22 });
    if (misbehaviour === "version-major")
      return this.#send(request, joined(Uint8Array.of(1), versionBody().slice(1)));
    if (misbehaviour === "version-text")
      return this.#send(request, joined(Uint8Array.of(0, 0, 0, 0), new TextEncoder().encode("nonsense\0")));
    if (misbehaviour === "version-twin-without-socket")
      return this.#send(request, versionBody({ twin_socket: { supported: true, fd_index: 0 } }));
    return this.#send(request, versionBody({ max_msg_fds: 8 }, 0));
  }

  #region(request: Record<"id" | "command", number>, asked: number, argsz: number): boolean {
    const { misbehaviour } = this.#orders;
    const index = misbehaviour === "region-of-another-index" ? asked + 1 : asked;
    const sizes: Readonly<Record<number, number>> = {
      0: 4096,
      1: misbehaviour === "small-file" ? 65536 : 4096,
      7: 256,
    };
    const size = sizes[index] ?? 0;
    if (asked === 1 && misbehaviour === "small-file")
      return this.#send(request, joined(le32(32, 7, index, 0), le64(size, 0)), { fds: [file.fd] });
    if (asked === 1 && misbehaviour === "region-huge")
      return this.#send(request, joined(le32(32, 3, index, 0), le64(2n ** 60n, 0)));
    if (asked === 1 && misbehaviour === "region-grows") {
      this.#grown += 64;
      return this.#send(request, joined(le32(this.#grown, 7, index, 0), le64(size, 0)));
    }
    const caps: Partial<Record<Misbehaviour, Uint8Array>> = {
      // A list that leads back to itself, one that leads out of the message, and one that has more areas than bytes.
      "region-caps-loop": joined(le32(9 + 2 ** 16, 32), le64(0)),
      "region-caps-outside": joined(le32(9 + 2 ** 16, 4000), le64(0)),
      "region-many-areas": joined(le32(1 + 2 ** 16, 0, 5000, 0)),
    };
    const tail = asked === 1 ? caps[misbehaviour] : undefined;
    if (!tail) return this.#send(request, joined(le32(32, size > 0 ? 3 : 0, index, 0), le64(size, 0)));
    const whole = argsz >= 32 + tail.length;
    const fixed = joined(le32(32 + tail.length, whole ? 15 : 7, index, whole ? 32 : 0), le64(size, 0));
    return this.#send(request, whole ? joined(fixed, tail) : fixed);
  }

  #read(request: Record<"id" | "command", number>, body: Uint8Array, region: number, count: number): boolean {
    const echo = body.slice(0, 16);
    const right = joined(echo, region === 7 ? this.#config.slice(0, count) : new Uint8Array(count).fill(7));
    if (region === 1 && this.#orders.misbehaviour === "remembers") {
      const told = new Uint8Array(count);
      told.set(this.#changes);
      told.set(this.#config.subarray(0x10, 0x14), 32);
      told.set(this.#config.subarray(0x04, 0x06), 36);
      return this.#send(request, joined(echo, told));
    }
    if (region !== 0) return this.#send(request, right);
    switch (this.#orders.misbehaviour) {
      case "refused":
        return this.#send(request, new Uint8Array(), { flags: failed, error: 13 });
      case "refused-without-errno":
        return this.#send(request, new Uint8Array(), { flags: failed });
      case "short":
        return this.#send(request, right.slice(0, right.length - 1));
      case "wrong-count":
        return this.#send(request, joined(echo.slice(0, 12), le32(count + 1), right.slice(16)));
      case "header-only":
        return this.#send(request, new Uint8Array());
      case "wrong-id":
        return this.#send({ ...request, id: request.id ^ 0x5555 }, right);
      case "wrong-command":
        return this.#send({ ...request, command: Command.reset }, right);
      case "tiny-size":
        return this.#send(request, right, { size: 8 });
      case "huge-size":
        return this.#send(request, right, { size: 0xffffffff });
      case "closes":
        return false;
      case "closes-midway":
        this.#send(request, right.slice(0, 4), { size: header.size + right.length });
        return false;
      case "silent":
        return true;
      case "dribbles":
        this.#send(request, right.slice(0, 1), { size: header.size + right.length });
        for (let i = 1; i < right.length - 1; i++) {
          Bun.sleepSync(90);
          if (!this.#raw(right.slice(i, i + 1))) return false;
        }
        return true;
      case "late":
        Bun.sleepSync(this.#orders.delay ?? 0);
        return this.#send(request, right);
      case "asks-without-end":
        for (let id = 0; ; id = (id + 1) & 0xffff) {
          if (!this.#send({ id, command: Command.dmaRead }, le64(0, 4), { flags: 0 })) return false;
          Bun.sleepSync(1);
          this.#messages.receive(this.#in, 0, room, false);
        }
      case "asks-nonsense":
        for (const [command, question] of [
          [Command.dmaRead, le64(0, 2 ** 40)],
          [Command.dmaRead, le64(2n ** 64n - 8n, 16)],
          [Command.dmaRead, new Uint8Array(3)],
          [Command.dmaWrite, le64(0, 100)],
          [Command.regionRead, le64(0, 0)],
          [99, new Uint8Array()],
        ] as const)
          this.#send({ id: 5, command }, question, { flags: 0 });
        return this.#send(request, right);
      case "many-fds":
        return this.#send(request, right, { fds: Array.from({ length: 12 }, () => file.fd) });
      default:
        return this.#send(request, right);
    }
  }

  close(): void {
    this.#messages.closeReceived();
    this.#arena[Symbol.dispose]();
    new FileDescriptor(this.#fd, "a client")[Symbol.dispose]();
  }
}

if (!Bun.isMainThread)
  globalThis.addEventListener("message", (event) => {
    const orders = (event as MessageEvent<ServerOrders>).data;
    const listening = listenUnix(orders.path, 4, 0o600);
    postMessage("listening");
    for (;;) {
      const client = acceptUnix(listening);
      if (!client) return;
      // The script closes it.
      const script = new Script(client.fd, orders);
      script.run();
      script.close();
    }
  });
