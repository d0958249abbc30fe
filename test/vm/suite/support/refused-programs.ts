// What every-call.test.ts tries: programs that use all of the library over a device, each in one thread and without a wait.
import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import { VfioPciDevice } from "../../../../src/device/passthrough/vfio-pci-device.ts";
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { RangeAllocator } from "../../../../src/device/platforms/range-allocator.ts";
import type { Platform } from "../../../../src/device/seam/platform.ts";
import { Eventfd } from "../../../../src/ffi/eventfd.ts";
import { Kvm } from "../../../../src/kvm/kvm.ts";
import { KvmPlatform } from "../../../../src/kvm/platform.ts";
import { TrapBus } from "../../../../src/kvm/trap-bus.ts";
import { VcpuControl } from "../../../../src/kvm/vcpu-control.ts";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import {
  bytesOf,
  memory as memoryDecoding,
  master,
  mmioRead,
  writeVector,
} from "../../../support/attached.ts";
import { open, type Way } from "./apis.ts";
import { code } from "./code.ts";
import { take, type DeviceName } from "./devices.ts";
import { quieten } from "./edu.ts";
import { Guest } from "./guest.ts";
import type { Owned, Program } from "../../../support/refusals.ts";
import { page } from "./rules.ts";

/** What a driver does: memory for DMA, a mapped BAR, interrupts, notices, resets. */
export function driver(name: DeviceName, way: Way): Program {
  const bdf = take(name);
  return {
    name: `${name} driven by ${way.name}`,
    run(owned) {
      const device = owned.use(open(bdf, way));
      device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
      if (device.dma) {
        const low = owned.use(device.dma.allocate(2 * page, { below: 2 ** 32 }));
        const other = owned.use(device.dma.allocate(page));
        low.bytes[0] = 1;
        other.registers.write32(0, 1);
      }
      owned.use(device.map(0, { offset: 0, size: page })).registers.read32(0);
      const vectors = owned.use(
        device.vectors(device.irqs[IrqIndex.msix]!.count > 0 ? IrqIndex.msix : IrqIndex.msi),
      );
      vectors.arm(0);
      if (vectors.count > 2) {
        vectors.arm(2);
        vectors.armAll(2);
        vectors.disarm(0);
      }
      owned.use(device.on("remove-requested", () => {}));
      device.reset();
      device.features();
      device.hotResetReport();
      vectors[Symbol.dispose]();
      device.selfTest(2);
    },
  };
}

type Fault = (what: string) => void;

/** What a guest does to a device, none of which may throw, and what its VMM does besides. @returns a snapshot */
function use(device: VfioPciDevice, fault: Fault): unknown {
  const guest = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      fault(`throws at a guest: ${String(error)}`);
    }
  };
  const { bars, msix, capabilities } = device.describe();
  const at = (id: number): number | undefined =>
    capabilities.find((one) => one.id === id && !one.extended)?.offset;
  guest(() => {
    for (let offset = 0; offset < 64; offset += 4) device.configRead(offset, 4);
    // Sized, moved, decoded.
    device.configWrite(0x10, 4, 0xffff_ffff);
    device.configWrite(0x10, 4, 0xd800_0000);
    if (bars[0]?.kind === "memory64") device.configWrite(0x14, 4, 0);
    device.configWrite(4, 2, memoryDecoding | master);
  });
  const tableAt = msix?.guest.table;
  const base = device.describe().bars.find(({ region }) => region === (tableAt?.region ?? 0))?.base;
  const [msiAt, msixAt, powerAt] = [at(5), at(0x11), at(1)];
  guest(() => {
    if (base === undefined) return;
    mmioRead(device, base, 4);
    if (!tableAt || msixAt === undefined) return;
    const vectors = base + tableAt.offset;
    for (const vector of [0, 1, 2]) writeVector(device, vectors, vector, 0x40 + vector, vector === 1);
    device.configWrite(msixAt + 2, 2, 0x8000);
    device.mmioWrite(vectors + 16 + 12, bytesOf(0, 4));
    device.configWrite(msixAt + 2, 2, 0);
  });
  guest(() => {
    if (msiAt === undefined) return;
    device.configWrite(msiAt + 4, 4, 0xfee0_0000);
    device.configWrite(msiAt + 12, 2, 0x41);
    device.configWrite(msiAt + 2, 2, 1);
    device.configWrite(msiAt + 2, 2, 0);
  });
  guest(() => {
    if (powerAt === undefined) return;
    device.configWrite(powerAt + 4, 2, 3);
    device.configWrite(powerAt + 4, 2, 0);
    device.configWrite(4, 2, memoryDecoding | master);
  });
  const snapshot = JSON.parse(JSON.stringify(device.snapshot())) as unknown;
  device.reset();
  return snapshot;
}

/** What a device holds is given back when it is detached; what is refused then, the second time. */
const detaching = (device: VfioPciDevice): Disposable => ({
  [Symbol.dispose]() {
    device[Symbol.dispose]();
    if (!device.released) device[Symbol.dispose]();
    if (!device.released) throw new Error("the device cannot be detached");
  },
});

/** A device in use by a guest of this platform; where that fails, nothing of it is open. */
function attached(
  owned: Owned,
  kernel: KernelDevice,
  fault: Fault,
  attach: () => VfioPciDevice,
): VfioPciDevice {
  try {
    const device = attach();
    owned.use(detaching(device));
    return device;
  } catch (error) {
    if (isOpen(kernel)) fault("is open after it could not be attached");
    throw error;
  }
}

function isOpen(kernel: KernelDevice): boolean {
  try {
    return kernel.fd >= 0;
  } catch {
    return false;
  }
}

/** A device attached to a virtual machine in memory, used by a guest, saved, detached, and restored. */
export function guest(name: DeviceName, way: Way): Program {
  const bdf = take(name);
  const platform = new MemoryPlatform({ pageSize: page });
  const { pageSize, memory, interrupts, addresses, bus } = platform;
  return {
    name: `${name} of a guest by ${way.name}`,
    left: () => platform.leaks(),
    run(owned, fault) {
      const begin = (snapshot?: unknown): VfioPciDevice => {
        const kernel = owned.use(open(bdf, way));
        if (name === "edu") quieten(kernel);
        const mine: Platform = { pageSize, memory, interrupts, addresses, bus, dma: kernel.dma };
        return attached(owned, kernel, fault, () =>
          snapshot === undefined
            ? VfioPciDevice.attach(kernel, mine)
            : VfioPciDevice.restore(kernel, mine, snapshot),
        );
      };
      const device = begin();
      const snapshot = use(device, fault);
      detaching(device)[Symbol.dispose]();
      begin(snapshot).configRead(0, 4);
    },
  };
}

/** A virtual machine of KVM with a device in it, and a CPU that runs. */
export function machine(name: DeviceName, way: Way): Program {
  const bdf = take(name);
  return {
    name: `${name} in a machine of KVM by ${way.name}`,
    run(owned, fault) {
      const kvm = owned.use(new Kvm());
      const guest = owned.use(new Guest(kvm, "real", code.out8(0x30, 1), { control: new VcpuControl() }));
      // A second time where KVM keeps the slot: with the machine it is gone.
      owned.use(guest.memory);
      guest.runToPort();
      const kernel = owned.use(open(bdf, way));
      const bus = new TrapBus();
      const part = bus.forDevice(name);
      const platform = new KvmPlatform(guest.machine, {
        addresses: {
          mmio32: new RangeAllocator(0xd000_0000, 0x1000_0000),
          mmio64: new RangeAllocator(2 ** 36, 2 ** 34),
          io: new RangeAllocator(0x1000, 0xe000),
        },
        bus: part,
        dma: kernel.dma,
        intx: (pin) => 15 + pin,
      });
      const known = owned.use(guest.machine.vfio.add(kernel.fd));
      const ram = owned.use(guest.memory.mapFor(kernel.dma!));
      const doorbell = owned.use(new Eventfd());
      owned.use(guest.machine.ioeventfds.add({ kind: "io", address: 0x60, width: 2 }, doorbell.fd));
      const device = attached(owned, kernel, fault, () => VfioPciDevice.attach(kernel, platform));
      part.device = device;
      use(device, fault);
      detaching(device)[Symbol.dispose]();
      for (const one of [ram, known]) one[Symbol.dispose]();
      if (guest.machine.interrupts.routes > 0) fault("leaves routes");
      if (guest.machine.slots.inUse.size > 1) fault("leaves slots");
    },
  };
}
