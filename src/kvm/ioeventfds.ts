import { setKvmIoeventfd, type IoeventfdWrite } from "../ffi/kvm-interrupts.ts";
import type { VmDescriptor } from "./vm-descriptor.ts";

/** Guest writes that signal an eventfd in the kernel, without an exit: doorbells of devices of the VMM's own. */
export class Ioeventfds {
  readonly #vm: VmDescriptor;

  constructor(vm: VmDescriptor) {
    this.#vm = vm;
  }

  /**
   * From now on such a write signals the eventfd.
   * @param eventfd stays the caller's, who keeps it open until this is disposed of
   * @returns disposing of it lets the write leave to the VMM again; where KVM refuses that, it throws, and can be tried again
   * @throws VfioError EEXIST where another has the same write, ENOSPC where KVM has no room
   */
  add(write: IoeventfdWrite, eventfd: number): Disposable {
    setKvmIoeventfd(this.#vm.fd, write, eventfd, true);
    let on = true;
    return {
      [Symbol.dispose]: () => {
        if (!on || this.#vm.closed) return;
        setKvmIoeventfd(this.#vm.fd, write, eventfd, false);
        on = false;
      },
    };
  }
}
