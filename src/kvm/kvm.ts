import { VfioError } from "../ffi/errors.ts";
import { FileDescriptor } from "../ffi/file-descriptor.ts";
import {
  checkKvmExtension,
  getKvmApiVersion,
  getMsrIndexList,
  getSupportedCpuid,
  getVcpuMmapSize,
  type KvmCapability,
} from "../ffi/kvm-system.ts";
import type { CpuidEntry } from "../ffi/kvm-cpuid.ts";
import { kvmApi } from "../regs/ioctl/kvm-capability.ts";

const hints: Readonly<Record<string, string>> = {
  ENOENT:
    "Load the module: `modprobe kvm_intel` or `modprobe kvm_amd`; virtualization must be on in the firmware, or nested in the host.",
  EACCES: "Join the group that owns the node (usually kvm), or run as root.",
  ENODEV: "The module kvm is loaded, but neither kvm_intel nor kvm_amd can work on this CPU.",
};

/** The kernel's hypervisor, `/dev/kvm`. `dispose` closes it; virtual machines made of it live on. */
export class Kvm implements Disposable {
  /** Bytes of the page, and those behind it, that a vCPU shares with its VMM. */
  readonly runSize: number;
  readonly #descriptor: FileDescriptor;

  /**
   * @param path the device node
   * @throws VfioError where it is missing, closed to this user, or of another version of the API; its hint says what to do
   */
  constructor(path = "/dev/kvm") {
    using failed = new DisposableStack();
    this.#descriptor = failed.use(FileDescriptor.open(path, { hint: (code) => hints[code] }));
    const version = getKvmApiVersion(this.fd, { device: path });
    if (version !== kvmApi.VERSION)
      throw new VfioError(`${path} speaks version ${version} of the API, not ${kvmApi.VERSION}`, {
        code: "ENOTSUP",
      });
    this.runSize = getVcpuMmapSize(this.fd, { device: path });
    failed.move();
  }

  /** Open until `dispose`. @throws VfioError (`ECLOSED`) afterwards */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** What a capability says, 0 where KVM does not know it. @throws VfioError */
  extension(name: KvmCapability): number {
    return checkKvmExtension(this.fd, name);
  }

  /** The CPUID leaves that KVM can give a guest on this machine. @throws VfioError */
  supportedCpuid(): CpuidEntry[] {
    return getSupportedCpuid(this.fd);
  }

  /** The MSRs that are part of a vCPU's state. @throws VfioError */
  msrs(): number[] {
    return getMsrIndexList(this.fd);
  }

  /** Closes the descriptor. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#descriptor[Symbol.dispose]();
  }
}
