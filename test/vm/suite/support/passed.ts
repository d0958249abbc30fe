// A device of the host passed through to a guest of KVM: its config space at device 1 of bus 0 by mechanism #1, its memory
// where the guest puts it, DMA to all of the guest's memory.
import { RangeAllocator } from "../../../../src/device/platforms/range-allocator.ts";
import { ConfigAddressPort, configAddressPort } from "../../../../src/regs/config-address.ts";
import { CountedBackend } from "../../../../src/device/seam/counted-backend.ts";
import type { DmaMap } from "../../../../src/device/dma/dma-map.ts";
import type { DeviceEvent } from "../../../../src/device/seam/events.ts";
import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import { VfioPciDevice } from "../../../../src/device/passthrough/vfio-pci-device.ts";
import { KvmPlatform } from "../../../../src/kvm/platform.ts";
import { TrapBus } from "../../../../src/kvm/trap-bus.ts";
import { open, type Way } from "./apis.ts";
import { take, type DeviceName } from "./devices.ts";
import { quieten } from "./edu.ts";
import type { Guest } from "./guest.ts";

/** The pin of the IOAPIC that INTA is wired to. */
export const intxPin = 16;
export const slot = 1;

/** A number in the bytes of an access, and back. */
const numberOf = (data: Uint8Array): number => data.reduceRight((value, byte) => value * 256 + byte, 0);
function fill(data: Uint8Array, value: number): void {
  for (let i = 0; i < data.length; i++) data[i] = Math.floor(value / 256 ** i) & 0xff;
}

export class PassedDevice implements Disposable {
  readonly bus = new TrapBus();
  readonly kernel: KernelDevice;
  readonly counted: CountedBackend;
  readonly device: VfioPciDevice;
  readonly dma: DmaMap;
  readonly events: DeviceEvent[] = [];
  readonly #owned: DisposableStack;

  constructor({ machine, memory }: Guest, name: DeviceName, way: Way) {
    using owned = new DisposableStack();
    this.kernel = open(take(name), way);
    if (name === "edu") quieten(this.kernel);
    this.counted = new CountedBackend(this.kernel);
    this.dma = this.kernel.dma!;
    const part = this.bus.forDevice(name);
    const platform = new KvmPlatform(machine, {
      addresses: {
        mmio32: new RangeAllocator(0xd000_0000, 0x1000_0000),
        mmio64: new RangeAllocator(2 ** 36, 2 ** 34),
        io: new RangeAllocator(0x1000, 0xe000),
      },
      bus: part,
      intx: (pin) => intxPin + pin - 1,
    });
    owned.use(machine.vfio.add(this.kernel.fd));
    this.device = owned.use(
      VfioPciDevice.attach(this.counted, platform, {
        requesterId: slot << 3,
        onEvent: (event) => void this.events.push(event),
      }),
    );
    memory.mapFor(this.dma);
    part.device = this.device;
    this.#answerConfig();
    this.#owned = owned.move();
  }

  #answerConfig(): void {
    const port = new ConfigAddressPort();
    this.bus.insert("io", configAddressPort, 8, "PCI configuration", {
      ioRead: (at, data) => {
        const own = port.read(at, data.length);
        const target = port.target(at, data.length);
        if (own !== undefined) fill(data, own);
        else if (target && target.bus === 0 && target.device === slot && target.function === 0)
          fill(data, this.device.configRead(target.offset, data.length));
      },
      ioWrite: (at, data) => {
        if (port.write(at, data.length, numberOf(data))) return;
        const target = port.target(at, data.length);
        if (target && target.bus === 0 && target.device === slot && target.function === 0)
          this.device.configWrite(target.offset, data.length, numberOf(data));
      },
    });
  }

  /** Where a capability is. */
  capability(id: number): number {
    const read = (offset: number): number => this.device.configRead(offset, 1);
    for (let at = read(0x34), n = 0; at !== 0 && n < 48; at = read(at + 1), n++)
      if (read(at) === id) return at;
    throw new Error(`no capability ${id}`);
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}
