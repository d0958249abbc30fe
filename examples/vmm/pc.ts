// The machine: everything of it in the order in which it is built, and the loop in which its CPUs are served.
import { readFileSync } from "node:fs";
import { VfioError, type DeviceSnapshot } from "bun-vfio";
import { GuestMemory, Kvm, TrapBus, VirtualMachine } from "bun-vfio/kvm";
import { acpiTables } from "./acpi/tables.ts";
import { parseBzImage } from "./boot/bzimage.ts";
import { loadLinux } from "./boot/load-linux.ts";
import { writeTables } from "./boot/long-mode.ts";
import { Cpus } from "./cpu/cpus.ts";
import { Mailbox } from "./cpu/mailbox.ts";
import { Hotplug } from "./devices/hotplug.ts";
import { PassedDevices, type Api } from "./devices/passed-devices.ts";
import { PciBus } from "./devices/pci-bus.ts";
import { biosCode, keyboardReset, resetControl, sleepControl, type PowerRequest } from "./devices/power.ts";
import { realTimeClock } from "./devices/rtc.ts";
import { Serial } from "./devices/serial.ts";
import { gsi, memory, ports, ramOf } from "./layout.ts";
import { restorePc, savePc, type LoadedPc } from "./snapshot.ts";

export interface PcOptions {
  /** Paths. */
  readonly kernel: string;
  readonly initrd?: string | undefined;
  readonly commandLine: string;
  /** In bytes. */
  readonly memory: number;
  readonly cpus: number;
  /** Devices of the host, for slots 1, 2 and so on. */
  readonly devices: readonly string[];
  readonly api: Api;
}

/** The machine's surroundings. */
export interface PcHost {
  /** Takes what the guest sends to its console. */
  send(byte: number): void;
  /** Hears what a person should know. */
  say(message: string): void;
}

/** How a run ended: by the guest, or by `stop`. */
export type PcEnd = PowerRequest | "stopped";

export class Pc implements Disposable {
  readonly serial: Serial;
  readonly pci: PciBus;
  readonly devices: PassedDevices;
  readonly ram: GuestMemory;
  readonly machine: VirtualMachine;
  readonly cpus: Cpus;
  readonly #hotplug: Hotplug;
  readonly #bus = new TrapBus();
  readonly #mailbox: Mailbox;
  readonly #owned: DisposableStack;
  readonly #host: PcHost;
  #request: PowerRequest | undefined;

  /**
   * Builds the machine and lets it run.
   * @param saved what another was, to go on from there instead of booting
   * @throws VfioError with what is wrong and the next step: nothing is left then
   */
  constructor(options: PcOptions, host: PcHost, saved?: LoadedPc) {
    this.#host = host;
    // Before anything is made: it fails soonest.
    const kernel = saved ? undefined : parseBzImage(readFileSync(options.kernel), options.kernel);
    const initrd = saved || options.initrd === undefined ? undefined : readFileSync(options.initrd);

    using owned = new DisposableStack();
    using kvm = new Kvm();
    this.machine = owned.use(new VirtualMachine(kvm));
    const { machine } = this;
    this.ram = owned.use(new GuestMemory(machine.slots, { places: ramOf(options.memory) }));

    const tell = (request: PowerRequest): void => {
      this.#request ??= request;
      this.stop();
    };
    const bus = this.#bus;
    const port = (at: { base: number; size: number }, name: string, target: object): void =>
      void bus.insert("io", at.base, at.size, name, target);
    this.serial = new Serial({
      send: (byte) => host.send(byte),
      setIrq: (high) => machine.setIrqLine(gsi.serial, high),
    });
    this.#hotplug = new Hotplug(
      () => [true, false].forEach((high) => machine.setIrqLine(gsi.hotplug, high)),
      (slot) => this.#eject(slot),
    );
    port(ports.serial, "serial port", this.serial);
    port(ports.rtc, "clock", realTimeClock());
    port(ports.keyboard, "keyboard controller", keyboardReset(tell));
    port(ports.power, "sleep control", sleepControl(tell));
    port(ports.hotplug, "hot-plug", this.#hotplug);
    this.pci = new PciBus(bus, resetControl(tell));

    const { ram, pci } = this;
    const say = (message: string): void => host.say(message);
    this.devices = owned.use(
      new PassedDevices(
        { machine, ram, bus, pci, say, onRequest: (slot) => this.#wantedBack(slot) },
        options.api,
      ),
    );
    const slots: [slot: number, bdf: string, snapshot?: DeviceSnapshot][] =
      saved?.devices.map(({ slot, bdf, state }) => [slot, bdf, state]) ??
      options.devices.map((bdf, i) => [i + 1, bdf]);
    for (const each of slots) this.devices.insert(...each);

    let entry: number | undefined;
    if (saved) restorePc(this, saved);
    else if (kernel) {
      ram.write(memory.acpi.base, acpiTables(options.cpus));
      ram.write(memory.bios, biosCode);
      writeTables(ram);
      entry = loadLinux(ram, { kernel, initrd, commandLine: options.commandLine });
    }
    this.#mailbox = new Mailbox(options.cpus);
    this.cpus = new Cpus(kvm, machine, this.#mailbox, {
      count: options.cpus,
      kernel: entry,
      states: saved?.cpus,
    });
    owned.use(this.cpus);
    this.#owned = owned.move();
  }

  /** Serves the CPUs until the machine has ended. @throws what made a CPU, or a device, fail */
  async run(): Promise<PcEnd> {
    try {
      await this.#mailbox.serve(this.#bus, () => this.cpus.ended);
    } finally {
      // What failed is known: what the CPUs still ask is nobody's.
      this.stop();
      await this.#mailbox.serve(new TrapBus(), () => this.cpus.ended);
    }
    const { end } = this.cpus;
    if (this.#request) return this.#request;
    // A triple fault is how some guests reset themselves.
    return end === "stopped" ? "stopped" : "reset";
  }

  /** Has all CPUs stop: `run` returns. */
  stop(): void {
    this.cpus.stop();
  }

  /** Asks the guest for the device of a slot. */
  unplug(slot: number): void {
    const there = this.devices.list.get(slot);
    if (!there) return this.#host.say(`slot ${slot} is empty`);
    this.#host.say(`the guest is asked for ${there.bdf} of slot ${slot}`);
    this.#hotplug.request(slot);
  }

  #wantedBack(slot: number): void {
    this.#host.say(`the host wants ${this.devices.list.get(slot)?.bdf ?? "a device"} back`);
    this.unplug(slot);
  }

  #eject(slot: number): void {
    const bdf = this.devices.remove(slot);
    if (bdf !== undefined) this.#host.say(`${bdf} has left slot ${slot}`);
  }

  /** What the machine is, once `run` has returned `stopped`. @throws VfioError where a part cannot say it */
  save(file: string): void {
    const { states } = this.cpus;
    if (!states)
      throw new VfioError("a CPU is in the middle of an instruction", {
        code: "EAGAIN",
        hint: "Go on, and try again.",
      });
    savePc(this, states, file);
  }

  /** Gives everything back. After `run`. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}
