import { FileDescriptor } from "../ffi/file-descriptor.ts";
import { createKvmDevice, setVfioFile } from "../ffi/kvm-device.ts";

/**
 * KVM's own VFIO device (Documentation/virt/kvm/devices/vfio.rst): KVM learns which groups or device files belong to the
 * machine. It then keeps a reference to each, knows whether DMA is cache-coherent, and tells mediated devices.
 */
export class VfioRegistry implements Disposable {
  readonly #descriptor: FileDescriptor;
  /** Files that KVM knows. They are named by descriptors of our own. */
  readonly #known = new Set<FileDescriptor>();

  /** @param vm descriptor of the virtual machine @throws VfioError where KVM has no such device */
  constructor(vm: number) {
    const fd = createKvmDevice(vm, "VFIO", { hint: "The kernel is built without CONFIG_KVM_VFIO." });
    this.#descriptor = new FileDescriptor(fd, "KVM's VFIO device");
  }

  /**
   * Tells KVM of a file. To be called before the device is attached.
   * @param file descriptor of a group, or (Linux 6.6) of a device. It stays the caller's, who may close it: KVM, and what
   * this returns, hold the file open by themselves
   * @returns disposing of it takes the file back; until then the device is in use, whoever has closed it. Where KVM refuses, it
   * throws, and can be tried again
   * @throws VfioError EEXIST where KVM knows it, EINVAL where it is neither
   */
  add(file: number): Disposable {
    using failed = new DisposableStack();
    const own = failed.use(FileDescriptor.duplicate(file, "a file that KVM's VFIO device knows"));
    setVfioFile(this.#descriptor.fd, own.fd, "FILE_ADD");
    failed.move();
    this.#known.add(own);
    return {
      [Symbol.dispose]: () => {
        // With the machine KVM has let go of it.
        if (own.closed) return;
        setVfioFile(this.#descriptor.fd, own.fd, "FILE_DEL");
        this.#known.delete(own);
        own[Symbol.dispose]();
      },
    };
  }

  /** Closes the device; KVM lets go of every file. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#descriptor[Symbol.dispose]();
    for (const own of this.#known) own[Symbol.dispose]();
    this.#known.clear();
  }
}
