// Where devices come from: the kernel's VFIO. All share one address space of the IOMMU, in which the guest's memory is where the
// guest has it.
import {
  chooseApi,
  Container,
  Ioas,
  openDevice,
  thisHost,
  VfioError,
  type DeviceBackend,
  type KernelDevice,
} from "bun-vfio";

export type Api = "auto" | "group" | "iommufd";

/** A device that can be given to a guest: `KernelDevice` is one. */
export interface HostDevice extends DeviceBackend {
  /** What KVM is to know; undefined for a device that is not the kernel's. */
  readonly fd: KernelDevice["fd"] | undefined;
  /** Where the guest's memory is mapped for it. */
  readonly dma: KernelDevice["dma"];
  on(...of: Parameters<KernelDevice["on"]>): void;
  /** Calls back when a device at the other end of a socket has gone. */
  onLost?(act: () => void): void;
}

/** What opens devices. */
export interface DeviceSource extends Disposable {
  /** @param bdf of a device that is bound to vfio-pci, or what else names one @throws VfioError with what is wrong and the next step */
  open(bdf: string): HostDevice;
}

/** The devices of this host. */
export class HostDevices implements DeviceSource {
  readonly #api: Api;
  #iommu: Container | Ioas | undefined;

  constructor(api: Api) {
    this.#api = api;
  }

  open(bdf: string): HostDevice {
    this.#iommu ??= this.#openIommu(bdf);
    const device = openDevice(bdf, { iommu: this.#iommu });
    if (device.dma) return device;
    device[Symbol.dispose]();
    throw noIommu(bdf);
  }

  #openIommu(bdf: string): Container | Ioas {
    const api = this.#api === "auto" ? chooseApi(thisHost, bdf, "auto", false).api : this.#api;
    if (api === "noiommu") throw noIommu(bdf);
    return api === "iommufd" ? Ioas.open() : Container.open({ node: api === "group" ? "vfio" : "iommufd" });
  }

  /** Closes the address space; devices are closed before. */
  [Symbol.dispose](): void {
    this.#iommu?.[Symbol.dispose]();
  }
}

const noIommu = (bdf: string): VfioError =>
  new VfioError(`${bdf} is behind no IOMMU: it could reach all of the host's memory`, {
    code: "ENOTSUP",
    device: bdf,
    hint: "Turn the IOMMU on: in the firmware, and on the kernel's command line (intel_iommu=on).",
  });
