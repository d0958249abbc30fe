// An attached recording as a guest sees it: where its registers are is read from config space, as a guest would.
import type { Library } from "./library.ts";

type Backend = Parameters<Library["device"]["VfioPciDevice"]["attach"]>[0];
type Device = ReturnType<Library["device"]["VfioPciDevice"]["attach"]>;

/** Calls at the seam: each is a system call, or a message, for a real device. */
export interface SeamCounts {
  reads: number;
  writes: number;
  others: number;
}

/** A backend that counts, whatever methods the seam of its revision has. */
function counting(backend: Backend, counts: SeamCounts): Backend {
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        counts[name === "read" ? "reads" : name === "write" ? "writes" : "others"]++;
        return Reflect.apply(value, target, args);
      };
    },
  });
}

const command = 0x04;
const capabilities = 0x34;
const ids = { pcie: 0x10, msix: 0x11 };
/** Where the guest puts the 64-bit BAR 0. */
const barAddress = 0xd000_0000;

/** A recorded device, attached to a virtual machine in memory. */
export class Guest {
  readonly counts: SeamCounts = { reads: 0, writes: 0, others: 0 };
  readonly device: Device;
  /** Guest physical address of BAR 0. */
  readonly bar = barAddress;

  /** @param counted whether calls at the seam are counted, which costs time */
  constructor({ device, image, text }: Library, name: string, counted: boolean) {
    const recording = new device.RecordedDevice(image.readImage(text(`images/${name}.json`)));
    this.device = device.VfioPciDevice.attach(
      counted ? counting(recording, this.counts) : recording,
      new device.MemoryPlatform(),
    );
  }

  /** Puts BAR 0 in its place and turns memory decoding on. */
  decode(): this {
    this.device.configWrite(0x10, 4, barAddress);
    this.device.configWrite(0x14, 4, 0);
    this.device.configWrite(command, 2, 0x6);
    return this;
  }

  /** Offset of a capability in config space. */
  capability(name: keyof typeof ids): number {
    let at = this.device.configRead(capabilities, 1);
    for (let hops = 0; hops < 48 && at >= 0x40; hops++, at = this.device.configRead(at + 1, 1))
      if (this.device.configRead(at, 1) === ids[name]) return at;
    throw new Error(`the device has no ${name} capability`);
  }

  /** Guest physical address of the MSI-X table, which is in BAR 0. */
  table(): number {
    return this.bar + (this.device.configRead(this.capability("msix") + 4, 4) & ~7);
  }

  /** Turns MSI-X on, all vectors masked as they are at first. */
  enableMsix(): this {
    this.device.configWrite(this.capability("msix") + 2, 2, 0x8000);
    return this;
  }
}
