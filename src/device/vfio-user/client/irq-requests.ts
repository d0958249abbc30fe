// DEVICE_SET_IRQS on the client's side: descriptors beside the message, as many as the server takes, all or none.
import { Eventfd } from "../../../ffi/eventfd.ts";
import { VfioError } from "../../../ffi/errors.ts";
import { irqName, type IrqInfo, type IrqRequest } from "../../../regs/vfio/irqs.ts";
import { bodyAt, Command, commandName } from "../messages/header.ts";
import { encodeIrqSet } from "../messages/irqs.ts";
import type { Link } from "./link.ts";

/** `DEVICE_SET_IRQS MSIX trigger eventfd start 0`. */
const textOf = ({ index, action, start, data }: IrqRequest): string =>
  `${commandName(Command.setIrqs)} ${irqName(index)} ${action} ${data.kind} start ${start}`;

const countOf = ({ data }: IrqRequest): number =>
  data.kind === "none" ? data.count : (data.kind === "bool" ? data.values : data.fds).length;

/**
 * A request in messages that a server takes.
 * @param max descriptors of one message
 * @returns in order; more than one for more eventfds than fit, or where some vectors get one and some lose theirs. Vectors that
 * lose theirs need no descriptor: a message carries as many as there are
 */
export function splitRequest(request: IrqRequest, max: number): IrqRequest[] {
  const { data } = request;
  if (data.kind !== "eventfd" || data.fds.length === 0) return [request];
  const parts: IrqRequest[] = [];
  for (let at = 0; at < data.fds.length;) {
    const taken = data.fds[at]! < 0;
    let end = at + 1;
    while (end < data.fds.length && (taken || end - at < max) && data.fds[end]! < 0 === taken) end++;
    const fds = data.fds.slice(at, end);
    parts.push({ ...request, start: request.start + at, data: { kind: "eventfd", fds } });
    at = end;
  }
  return parts;
}

/** Asks the server. @param max descriptors that it takes with one message @throws VfioError as it refuses */
export function sendIrqs(link: Link, request: IrqRequest, max: number): void {
  for (const part of splitRequest(request, Math.max(1, max))) {
    const { view, outAt, maxMessage } = link.request;
    if (countOf(part) > maxMessage / 2)
      throw new RangeError(`${countOf(part)} vectors do not fit in a message`);
    const size = encodeIrqSet(view, outAt + bodyAt, part);
    const fds = part.data.kind === "eventfd" ? part.data.fds.filter((fd) => fd >= 0) : [];
    link.call(Command.setIrqs, size, () => textOf(part), fds);
  }
}

/** @throws VfioError (EINVAL) for vectors that the device does not have, as the kernel refuses them */
export function checkVectors(device: string, irqs: readonly IrqInfo[], request: IrqRequest): void {
  const vectors = irqs[request.index]?.count ?? 0;
  const { start } = request;
  const count = countOf(request);
  if (start < vectors && count <= vectors - start) return;
  throw new VfioError(
    `${device}: ${textOf(request)} fails with EINVAL: the device has ${vectors} vectors there`,
    {
      code: "EINVAL",
      errno: 22,
      request: textOf(request),
      device,
    },
  );
}

/** The eventfds that a device has now, kept so that they can be given to it again. */
export class HeldIrqs implements Disposable {
  readonly #triggers = new Map<number, Map<number, Eventfd>>();
  readonly #unmasks = new Map<number, Eventfd>();

  /** Takes note of a request that was done. */
  note({ index, action, start, data }: IrqRequest): void {
    if (action === "trigger" && data.kind === "none" && data.count === 0) return this.#forget(index);
    if (data.kind !== "eventfd") return;
    if (action === "unmask") return this.#hold(this.#unmasks, index, data.fds[0] ?? -1);
    if (action !== "trigger") return;
    const vectors = this.#triggers.get(index) ?? new Map<number, Eventfd>();
    this.#triggers.set(index, vectors);
    data.fds.forEach((fd, i) => this.#hold(vectors, start + i, fd));
  }

  #hold(table: Map<number, Eventfd>, key: number, fd: number): void {
    table.get(key)?.[Symbol.dispose]();
    table.delete(key);
    if (fd >= 0) table.set(key, new Eventfd(fd));
  }

  #forget(index: number): void {
    for (const eventfd of this.#triggers.get(index)?.values() ?? []) eventfd[Symbol.dispose]();
    this.#triggers.delete(index);
    this.#hold(this.#unmasks, index, -1);
  }

  /** What asks for all of it again. */
  get requests(): IrqRequest[] {
    const asked: IrqRequest[] = [];
    for (const [index, vectors] of this.#triggers) {
      const last = Math.max(-1, ...vectors.keys());
      const fds = Array.from({ length: last + 1 }, (_, vector) => vectors.get(vector)?.fd ?? -1);
      if (fds.length > 0) asked.push({ index, action: "trigger", start: 0, data: { kind: "eventfd", fds } });
    }
    for (const [index, eventfd] of this.#unmasks)
      asked.push({ index, action: "unmask", start: 0, data: { kind: "eventfd", fds: [eventfd.fd] } });
    return asked;
  }

  [Symbol.dispose](): void {
    for (const index of [...this.#triggers.keys(), ...this.#unmasks.keys()]) this.#forget(index);
  }
}
