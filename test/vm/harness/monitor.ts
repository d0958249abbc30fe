// QEMU's monitor, and what a guest's tests may ask of it: that a device is unplugged or plugged again.
//
// A test renames a file to OUT/request, whose text is `unplug NAME` or `plug NAME`, and waits for OUT/reply: nothing where it
// was done, or why not. It deletes the reply. One request at a time.
import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../machines.ts";
import { fileText } from "./cache.ts";
import { deviceArgument } from "./qemu.ts";

/** How long a guest may take to let go of a device, in milliseconds. */
const patience = 60_000;

interface Message {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
  readonly event?: string;
  readonly data?: { readonly device?: string };
}

/** QMP on a socket. */
export class Monitor {
  readonly #send: (text: string) => void;
  readonly #answers = new Map<number, PromiseWithResolvers<string>>();
  /** Devices that were asked to go, and when they have. */
  readonly #leaving = new Map<string, PromiseWithResolvers<void>>();
  #number = 0;
  #rest = "";
  #isClosed = false;

  /** @param send to QEMU; what it says is given to `hear` */
  constructor(send: (text: string) => void) {
    this.#send = send;
  }

  /** @param fd of a connected socket, which is closed when QEMU ends */
  static async on(fd: number): Promise<Monitor> {
    const decoder = new TextDecoder();
    const end: Bun.FdSocketOptions = {
      fd,
      socket: {
        data: (_, bytes) => monitor.hear(decoder.decode(bytes, { stream: true })),
        close: () => monitor.close(),
        error: () => monitor.close(),
      },
    };
    // Bun's types leave out that it connects these, too.
    const socket = Bun.connect(end as unknown as Bun.UnixSocketOptions);
    const monitor = new Monitor((text) => void socket.then((one) => one.write(text)));
    await socket;
    return monitor;
  }

  hear(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== "") this.#message(JSON.parse(line) as Message);
  }

  #message({ id, return: value, error, event, data }: Message): void {
    if (event === "DEVICE_DELETED") this.#leaving.get(data?.device ?? "")?.resolve();
    const answer = this.#answers.get(id ?? -1);
    if (!answer) return;
    this.#answers.delete(id!);
    if (error) answer.reject(new Error(error.desc));
    else answer.resolve(typeof value === "string" ? value.trim() : "");
  }

  close(): void {
    this.#isClosed = true;
    for (const { reject } of this.#answers.values()) reject(new Error("QEMU has ended"));
    this.#answers.clear();
    for (const { resolve } of this.#leaving.values()) resolve();
  }

  #execute(execute: string, args: object = {}): Promise<string> {
    if (this.#isClosed) return Promise.reject(new Error("QEMU has ended"));
    // What a monitor hears before it is told this is an error.
    if (this.#number === 0 && execute !== "qmp_capabilities")
      this.#execute("qmp_capabilities").catch(() => {});
    const answer = Promise.withResolvers<string>();
    const id = this.#number++;
    this.#answers.set(id, answer);
    this.#send(`${JSON.stringify({ execute, arguments: args, id })}\n`);
    return answer.promise;
  }

  /** A line of the monitor for people, which takes what the command line takes. @throws Error with what it says */
  async #line(line: string): Promise<void> {
    const said = await this.#execute("human-monitor-command", { "command-line": line });
    if (said !== "" && said !== "OK") throw new Error(said);
  }

  /** Where the CPUs are. An interrupt that nobody waits for then makes the guest's kernel tell what it does, and panic. */
  async autopsy(): Promise<string> {
    const registers = await this.#execute("human-monitor-command", { "command-line": "info registers -a" });
    await this.#execute("inject-nmi");
    // Without those of segments, debugging, floating point and vectors.
    return registers
      .split(/\r?\n/)
      .filter((line) => /^(?:CPU#|R|CR|PC|X\d)/.test(line))
      .join("\n");
  }

  /** Asks the guest to let a device go; it may take its time. */
  async unplug(name: string): Promise<void> {
    // Before it is asked for: that it has gone may come together with the answer.
    this.#leaving.set(name, Promise.withResolvers());
    await this.#execute("device_del", { id: name });
  }

  /** Plugs a device, once it has gone. @throws Error where the guest does not let go of it */
  async plug(machine: Machine, name: string, out: string): Promise<void> {
    const index = Object.keys(machine.devices).indexOf(name);
    const device = machine.devices[name]!;
    const leaving = this.#leaving.get(name);
    const late = setTimeout(
      () => leaving?.reject(new Error(`the guest does not let go of ${name}`)),
      patience,
    );
    try {
      await leaving?.promise;
    } finally {
      clearTimeout(late);
    }
    this.#leaving.delete(name);
    const argument = deviceArgument(name, device, index, out);
    if (device.served) await this.#execute("device_add", JSON.parse(argument) as object);
    else await this.#line(`device_add ${argument}`);
  }
}

/** Does what a guest's test asks for. To be called often: at once where there is nothing. */
export class Requests {
  readonly #machine: Machine;
  readonly #out: string;
  #isBusy = false;

  constructor(machine: Machine, out: string) {
    this.#machine = machine;
    this.#out = out;
  }

  async look(monitor: Pick<Monitor, "plug" | "unplug"> | undefined): Promise<void> {
    const request = join(this.#out, "request");
    if (this.#isBusy || !monitor || !existsSync(request)) return;
    this.#isBusy = true;
    const said = await this.#serve(monitor, fileText(request)).then(
      () => "",
      (error: Error) => error.message,
    );
    rmSync(request);
    writeFileSync(join(this.#out, "reply.new"), said);
    renameSync(join(this.#out, "reply.new"), join(this.#out, "reply"));
    this.#isBusy = false;
  }

  async #serve(monitor: Pick<Monitor, "plug" | "unplug">, text: string): Promise<void> {
    const [verb, name, ...more] = text.trim().split(" ");
    if (more.length > 0 || name === undefined || (verb !== "plug" && verb !== "unplug"))
      throw new Error(`"${text}" is no request`);
    if (!Object.hasOwn(this.#machine.devices, name))
      throw new Error(`machine ${this.#machine.name} has no device "${name}"`);
    await (verb === "plug" ? monitor.plug(this.#machine, name, this.#out) : monitor.unplug(name));
  }
}
