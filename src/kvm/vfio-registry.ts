import { FileDescriptor } from "../ffi/file-descriptor.ts";
import { createKvmDevice, setVfioFile } from "../ffi/kvm-device.ts";

/**
 * KVM's own VFIO device (Documentation/virt/kvm/devices/vfio.rst): KVM learns which groups or device files belong to the
 * machine. It then keeps a reference to each, knows whether DMA is cache-coherent, and tells mediated devices.
 */
export class VfioRegistry implements Disposable {
  readonly #descriptor: FileDescriptor;

  /** @param vm descriptor of the virtual machine @throws VfioError where KVM has no such device */
  constructor(vm: number) {
    const fd = createKvmDevice(vm, "VFIO", { hint: "The kernel is built without CONFIG_KVM_VFIO." });
    this.#descriptor = new FileDescriptor(fd, "KVM's VFIO device");
  }

  /**
   * Tells KVM of a file, until `remove` or `dispose`.
   * @param file descriptor of a group, or (Linux 6.6) of a device
   * @throws VfioError EEXIST where KVM knows it, EINVAL where it is neither
   */
  add(file: number): void {
    setVfioFile(this.#descriptor.fd, file, "FILE_ADD");
  }

  /** Takes a file back, before it is closed. @throws VfioError ENOENT where KVM does not know it */
  remove(file: number): void {
    setVfioFile(this.#descriptor.fd, file, "FILE_DEL");
  }

  /** Closes the device; KVM lets go of every file. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#descriptor[Symbol.dispose]();
  }
}
