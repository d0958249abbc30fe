// The interrupt controller of an Arm machine in the kernel: GICv3, and the ITS, to which devices send messages
// (Documentation/virt/kvm/devices/arm-vgic-v3.rst, arm-vgic-its.rst).
import { FileDescriptor } from "../../ffi/file-descriptor.ts";
import { createKvmDevice, setKvmDeviceAttribute } from "../../ffi/kvm-device.ts";
import type { ChipRoute } from "../../ffi/kvm-interrupts.ts";
import { kvmArmIrqType, kvmVgicAddress, kvmVgicControl, kvmVgicGroup } from "../../regs/ioctl/kvm-arm64.ts";

/** Where the parts of the interrupt controller are: guest physical addresses, as the machine's firmware tables say. */
export interface GicOptions {
  /** 64 KiB, aligned to that. */
  readonly distributor: number;
  /** 128 KiB for each vCPU, aligned to 64 KiB. */
  readonly redistributors: number;
  /** The ITS: 128 KiB, aligned to 64 KiB. */
  readonly its: number;
  /** Lines (SPIs) that devices may be wired to, which are GSIs 0 and up: from 32 to 960, a multiple of 32; 32 unless given. */
  readonly lines?: number | undefined;
}

/** INTIDs before those of the lines: what CPUs tell each other, and each has for itself (GICv3 architecture, 2.2). */
export const firstSpi = 32;
/** Of GITS_TRANSLATER, to which a device writes a message's data, from the base of the ITS on (GICv3 architecture, 12.18). */
const translater = 0x1_0040;

/** A GICv3 with one ITS. */
export class Gic implements Disposable {
  /** Interrupt lines of devices, above those of each CPU. */
  readonly lines: number;
  /** Where a device's messages go: the guest physical address that a guest gives to its devices. */
  readonly doorbell: number;
  readonly #controller: FileDescriptor;
  readonly #its: FileDescriptor;
  readonly #owned: DisposableStack;

  /** Made before any vCPU. @param vm descriptor of the machine @throws VfioError where KVM has none; RangeError for a number of lines */
  constructor(vm: number, { distributor, redistributors, its, lines = 32 }: GicOptions) {
    if (!Number.isInteger(lines) || lines % 32 !== 0 || lines < 32 || lines > 960)
      throw new RangeError(`lines must be from 32 to 960, a multiple of 32, not ${lines}`);
    this.lines = lines;
    this.doorbell = its + translater;
    using owned = new DisposableStack();
    this.#controller = owned.use(new FileDescriptor(createKvmDevice(vm, "ARM_VGIC_V3"), "the GIC"));
    this.#its = owned.use(new FileDescriptor(createKvmDevice(vm, "ARM_VGIC_ITS"), "the ITS"));
    const count = new Uint8Array(new Uint32Array([firstSpi + lines]).buffer);
    setKvmDeviceAttribute(this.#controller.fd, kvmVgicGroup.NR_IRQS, 0, count, "ARM_VGIC_V3 NR_IRQS");
    place(this.#controller, "V3_ADDR_TYPE_DIST", distributor);
    place(this.#controller, "V3_ADDR_TYPE_REDIST", redistributors);
    place(this.#its, "ITS_ADDR_TYPE", its);
    this.#owned = owned.move();
  }

  /** The routes of the lines, which a table of routes has to repeat. */
  routes(): ChipRoute[] {
    return Array.from({ length: this.lines }, (_, gsi) => ({ gsi, chip: 0, pin: gsi }));
  }

  /** A GSI as KVM_IRQ_LINE wants it. */
  lineOf(gsi: number): number {
    return (kvmArmIrqType.SPI << 24) | (firstSpi + gsi);
  }

  /** To be called once all vCPUs are made, before the first runs: it has a part for each. @throws VfioError */
  start(): void {
    for (const { fd, name } of [this.#controller, this.#its])
      setKvmDeviceAttribute(fd, kvmVgicGroup.CTRL, kvmVgicControl.INIT, undefined, `${name} INIT`);
  }

  /** Closes the descriptors; the controller goes with the machine. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}

function place({ fd, name }: FileDescriptor, what: keyof typeof kvmVgicAddress, address: number): void {
  const value = new Uint8Array(new BigUint64Array([BigInt(address)]).buffer);
  setKvmDeviceAttribute(fd, kvmVgicGroup.ADDR, kvmVgicAddress[what], value, `${name} ${what}`);
}
