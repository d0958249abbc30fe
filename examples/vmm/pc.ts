// The machine: everything of it in the order in which it is built, and the loop in which its CPUs are served.
import { readFileSync } from "node:fs";
import { ConfigAddressPort, type DeviceSnapshot, type TraceFile, type Tracer } from "bun-vfio";
import {
  cpuidOf,
  GuestMemory,
  Kvm,
  loadLinux,
  loadMemory,
  parseBzImage,
  restoreMachine,
  TrapBus,
  VcpuThreads,
  VirtualMachine,
  writeLongModeTables,
  type BzImage,
  type TrapTarget,
  type VcpuStart,
} from "bun-vfio/kvm";
import { acpiTables } from "./acpi/tables.ts";
import { Hotplug } from "./devices/hotplug.ts";
import type { Api } from "./devices/host-devices.ts";
import { PassedDevices } from "./devices/passed-devices.ts";
import { PciBus } from "./devices/pci-bus.ts";
import { biosCode, keyboardReset, resetControl, sleepControl, type PowerRequest } from "./devices/power.ts";
import { realTimeClock } from "./devices/rtc.ts";
import { Serial } from "./devices/serial.ts";
import { gsi, memory, memoryMap, ports, ramOf, type Window } from "./layout.ts";
import type { LoadedPc } from "./saved.ts";
import { savePc } from "./snapshot.ts";

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
  /** Where what the devices' models do is written. */
  readonly trace?: TraceFile | undefined;
  /** A recorder for the device of a slot, instead. */
  readonly flight?: ((slot: number) => Tracer) | undefined;
}

/** How a run ended: by the guest, or by `stop`. */
export type PcEnd = PowerRequest | "stopped";

/**
 * CPUID.1:ECX, which KVM does not list: there is a hypervisor, with a clock of its own that needs no calibration; the local
 * APIC's timer is told when to fire by the time stamp counter, so that no other timer is needed.
 */
const features = { leaf: 1, hypervisor: 1 << 31, deadlineTimer: 1 << 24 };
/** IA32_MTRR_DEF_TYPE: memory is cached, unless the guest says otherwise. */
const cachedMemory = { index: 0x2ff, data: 0x806n };

/**
 * Registers whose writes no CPU waits for: indexes, and what is sent to the console. Who looks at what they do asks, and comes after
 * them.
 */
const posted = [ports.serial, { base: ports.config.base, size: 4 }, { base: ports.rtc.base, size: 1 }].map(
  ({ base, size }) => ({ kind: "io" as const, base, size }),
);

export class Pc implements AsyncDisposable {
  readonly serial: Serial;
  readonly pci: PciBus;
  readonly devices: PassedDevices;
  readonly ram: GuestMemory;
  readonly machine: VirtualMachine;
  readonly #hotplug: Hotplug;
  readonly #bus: TrapBus;
  readonly #owned = new AsyncDisposableStack();
  readonly #host: PcHost;
  #cpus!: VcpuThreads;
  #request: PowerRequest | undefined;

  /**
   * Builds a machine; nothing of it runs yet.
   * @param saved what another was, to go on from there instead of booting
   * @throws VfioError with what is wrong and the next step: nothing is left then
   */
  static async build(options: PcOptions, host: PcHost, saved?: LoadedPc): Promise<Pc> {
    // Before anything is made: it fails soonest.
    const kernel = saved ? undefined : parseBzImage(readFileSync(options.kernel), options.kernel);
    const initrd = saved || options.initrd === undefined ? undefined : readFileSync(options.initrd);
    using kvm = new Kvm();
    const pc = new Pc(kvm, options, host);
    try {
      if (saved) pc.#restore(saved);
      const starts = saved?.cpus ?? pc.#boot(kvm, options, kernel!, initrd);
      pc.#cpus = pc.#owned.use(await VcpuThreads.make(kvm, pc.machine, starts, { posted }));
      // After memory, chips and CPUs: a restored device delivers at once what was pending, to local APICs with their own state.
      const slots: [slot: number, bdf: string, snapshot?: DeviceSnapshot][] =
        saved?.devices.map(({ slot, bdf, state }) => [slot, bdf, state]) ??
        options.devices.map((bdf, i) => [i + 1, bdf]);
      pc.#owned.use(pc.devices);
      for (const each of slots) pc.devices.insert(...each);
      return pc;
    } catch (error) {
      await pc[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Memory, interrupt chips, and the devices that every machine has. */
  private constructor(kvm: Kvm, options: PcOptions, host: PcHost) {
    this.#host = host;
    this.#bus = new TrapBus(undefined, undefined, host.trace?.of("bus"));
    using failed = new DisposableStack();
    this.machine = failed.use(new VirtualMachine(kvm));
    const { machine } = this;
    this.ram = new GuestMemory(machine.slots, { places: ramOf(options.memory), hugePages: "transparent" });
    failed.move();
    this.#owned.use(machine);
    this.#owned.use(this.ram);

    const bus = this.#bus;
    const tell = (request: PowerRequest): void => {
      this.#request ??= request;
      this.stop();
    };
    const port = (at: Window, name: string, target: TrapTarget): void =>
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
    const around = { machine, bus, ram: this.ram, pci: this.pci };
    this.devices = new PassedDevices(
      {
        ...{ ...around, trace: host.trace, flight: host.flight },
        say: (message) => host.say(message),
        onRequest: (slot) => this.#wantedBack(slot),
      },
      options.api,
    );
  }

  /** Firmware and kernel into the memory. @returns how the CPUs begin */
  #boot(kvm: Kvm, options: PcOptions, kernel: BzImage, initrd: Uint8Array | undefined): VcpuStart[] {
    const { ram } = this;
    const { cpus, commandLine } = options;
    ram.write(memory.acpi.base, acpiTables(cpus));
    ram.write(memory.bios, biosCode);
    writeLongModeTables(ram, memory.tables);
    const entry = loadLinux(ram, {
      ...{ kernel, initrd, commandLine, map: memoryMap(options.memory) },
      ...{ bootParams: memory.bootParams, commandLineAt: memory.commandLine, rsdp: memory.acpi.base },
    });
    const { bootParams, tables } = memory;
    const longMode = { entry, argument: bootParams, stack: bootParams, tables };

    const more = features.hypervisor | (kvm.extension("TSC_DEADLINE_TIMER") > 0 ? features.deadlineTimer : 0);
    const supported = kvm
      .supportedCpuid()
      .map((leaf) => (leaf.leaf === features.leaf ? { ...leaf, ecx: (leaf.ecx | more) >>> 0 } : leaf));
    return Array.from({ length: cpus }, (_, id) => ({
      ...{ cpuid: cpuidOf(supported, id, cpus), msrs: [cachedMemory] },
      longMode: id === 0 ? longMode : undefined,
    }));
  }

  /** All but CPUs and devices, which are made from their states. */
  #restore(saved: LoadedPc): void {
    loadMemory(this.ram, saved.ram, saved.image.id);
    restoreMachine(this.machine, saved.machine);
    this.serial.state = saved.serial;
    this.pci.port = new ConfigAddressPort(saved.configAddress);
  }

  /** Serves the CPUs until the machine has ended. @throws what made a CPU, or a device, fail */
  async run(): Promise<PcEnd> {
    const end = await this.#cpus.run(this.#bus);
    if (this.#request) return this.#request;
    // A triple fault is how some guests reset themselves.
    return end === "stopped" ? "stopped" : "reset";
  }

  /** Has all CPUs stop: `run` returns. */
  stop(): void {
    this.#cpus.stop();
  }

  /** Asks the guest for the device of a slot. */
  unplug(slot: number): void {
    const there = this.devices.list.get(slot);
    if (!there) return this.#host.say(`slot ${slot} is empty`);
    this.#host.say(`the guest is asked for ${there.bdf} of slot ${slot}`);
    this.#hotplug.request(slot);
  }

  #wantedBack(slot: number): void {
    this.devices.list.get(slot)?.device.checkPresence();
    this.#host.say(`the host wants ${this.devices.list.get(slot)?.bdf ?? "a device"} back`);
    this.unplug(slot);
  }

  #eject(slot: number): void {
    const bdf = this.devices.remove(slot);
    if (bdf !== undefined) this.#host.say(`${bdf} has left slot ${slot}`);
  }

  /**
   * Saves what the machine is, once `run` has returned `stopped`: then it is to be disposed of, and not run on.
   * @throws VfioError where it cannot be saved: it can run on; with `EAGAIN`, and be saved a moment later
   */
  save(file: string): Promise<void> {
    return savePc(this, this.#cpus, file);
  }

  /** Stops it, and gives everything back. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}
