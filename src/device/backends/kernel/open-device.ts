import { readlinkSync } from "node:fs";
import { VfioError } from "../../../ffi/errors.ts";
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { ioctlOrErrno } from "../../../ffi/ioctl.ts";
import { attachIommufdPt, bindIommufd, detachIommufdPt } from "../../../ffi/vfio-cdev.ts";
import { formatBdf, parseBdf } from "../../../regs/bdf.ts";
import { bytesOf, create } from "../../../regs/ioctl/struct.ts";
import { VfioDeviceInfo } from "../../../regs/ioctl/vfio-device.ts";
import { vfioRequest } from "../../../regs/ioctl/vfio-requests.ts";
import { thisHost, type Sysroot } from "../../host/sysroot.ts";
import { ReadOnce } from "../../host/read-once.ts";
import { cdevNode, groupIdOf } from "../../host/vfio-nodes.ts";
import {
  checkIommu,
  chooseApi,
  hasOwnNodeWithoutIommu,
  type ApiChoice,
  type DeviceApi,
} from "./choose-api.ts";
import { Container } from "./container.ts";
import type { ContainerIommu } from "./container-iommu.ts";
import { deviceHint, joinHint, missingNode, openHint } from "./open-hints.ts";
import { Ioas } from "./ioas.ts";
import { KernelDevice } from "./kernel-device.ts";
import { PhysicalMemory } from "./physical-memory.ts";
import { checkToken, tokenBytes } from "./vf-token.ts";

/** Descriptors that somebody else opened. They stay the caller's, who may close them as soon as the device is open. */
export interface OpenedDescriptors {
  /**
   * The device's cdev, bound to an iommufd or not yet; or the device as its group gave it out. Alone, where it is in use already,
   * its address space is with who opened it: `dma` is undefined.
   */
  readonly device?: number | undefined;
  /** Of /dev/vfio/GROUP. */
  readonly group?: number | undefined;
  /** Of /dev/vfio/vfio, or of an iommufd in its place. */
  readonly container?: number | undefined;
  /** Of /dev/iommu. */
  readonly iommufd?: number | undefined;
}

/** How to open a device. All of it is optional. */
export interface OpenOptions {
  /**
   * `auto` (default) chooses the first that is possible of `iommufd`, `group` and `iommufd-compat`, and never `noiommu`. A
   * device without IOMMU is opened by `noiommu` alone, whatever else is given.
   */
  readonly api?: DeviceApi | "auto" | undefined;
  /** A container or address space to share with other devices, which stays the caller's; else the device gets one of its own. */
  readonly iommu?: Container | Ioas | undefined;
  /** How a container of its own maps: `type1v2` where the kernel has it and else `type1`, unless given. */
  readonly type1?: Exclude<ContainerIommu, "noiommu"> | undefined;
  /** The UUID that the user of the physical function has set, for a function that wants it. */
  readonly vfToken?: string | undefined;
  /** Opened by somebody else, as a process without rights gets them. */
  readonly fds?: OpenedDescriptors | undefined;
  /** How long a device may take to answer after a reset, in ms; 1000 without it. */
  readonly resetTimeout?: number | undefined;
  /** Whose devices; this host's without it. */
  readonly host?: Sysroot | undefined;
}

/**
 * Opens a device that is bound to vfio-pci. `explain` of what it returns says why this way was chosen.
 * @param bdf as `0000:01:00.0`, or `01:00.0` of segment 0
 * @throws VfioError with what is missing, who holds or blocks it, and the next step; RangeError for options that
 * contradict each other
 */
export function openDevice(bdf: string, options: OpenOptions = {}): KernelDevice {
  const name = formatBdf(parseBdf(bdf));
  if (options.vfToken !== undefined) checkToken(options.vfToken);
  const host = options.iommu?.host ?? options.host ?? thisHost;
  // What leads to the choice is asked once; what comes later, as hints, looks again.
  const seen = new ReadOnce(host);
  const choice = options.iommu
    ? shared(options.iommu, options.api ?? "auto")
    : chooseApi(seen, name, options.api ?? wayOf(options.fds), options.vfToken !== undefined);
  // A container looks at the groups that enter it.
  if (choice.api === "iommufd" || isAlone(options))
    checkIommu(seen, name, choice, nodeOf(options.fds?.device));
  return isByCdev(name, choice, seen, options)
    ? openCdev(
        name,
        choice,
        host,
        options,
        options.fds?.device === undefined ? cdevNode(seen, name) : undefined,
      )
    : openInGroup(name, choice, host, options);
}

/** The way that goes with descriptors that are given: this process may not even see the nodes. */
function wayOf({ device, group, container, iommufd }: OpenedDescriptors = {}): DeviceApi | "auto" {
  if (group !== undefined) return iommufd === undefined ? "group" : "iommufd-compat";
  if (container !== undefined) return "group";
  if (device === undefined) return "auto";
  return iommufd === undefined && isOfGroup(device) ? "group" : "iommufd";
}

/** What a descriptor was opened as; undefined where there is no /proc to tell. */
function nodeOf(fd: number | undefined): string | undefined {
  try {
    return fd === undefined ? undefined : readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/** Whether a group gave a device out; a cdev is a file of /dev. */
const isOfGroup = (device: number): boolean => nodeOf(device) === "anon_inode:[vfio-device]";

/** Whether the device's own node is opened, or its group. */
function isByCdev(bdf: string, { api }: ApiChoice, host: Sysroot, { fds = {}, iommu }: OpenOptions): boolean {
  if (api !== "noiommu") return api === "iommufd";
  if (fds.group !== undefined || fds.container !== undefined || iommu !== undefined) return false;
  if (fds.device !== undefined) return !isOfGroup(fds.device);
  return hasOwnNodeWithoutIommu(host, bdf);
}

/** Whether a device came in without anything of its address space. */
const isAlone = ({ iommu, fds = {} }: OpenOptions): boolean =>
  fds.device !== undefined &&
  [iommu, fds.group, fds.container, fds.iommufd].every((one) => one === undefined);

/** The way that goes with what is shared. */
function shared(iommu: Container | Ioas, wanted: DeviceApi | "auto"): ApiChoice {
  const api =
    iommu instanceof Ioas
      ? "iommufd"
      : iommu.iommu === "noiommu"
        ? "noiommu"
        : iommu.isIommufd
          ? "iommufd-compat"
          : "group";
  if (wanted !== "auto" && wanted !== api)
    throw new RangeError(`a device that joins a ${iommu.name} is opened by "${api}", not "${wanted}"`);
  return { api, explain: [`${api}: it joins a ${iommu.name} that is there already`] };
}

function openInGroup(bdf: string, choice: ApiChoice, host: Sysroot, options: OpenOptions): KernelDevice {
  const { fds = {}, vfToken } = options;
  // A container of the device's own ends with the device: nobody else is in it then.
  using own =
    options.iommu === undefined && !isAlone(options)
      ? Container.open({
          iommu: choice.api === "noiommu" ? "noiommu" : options.type1,
          node: choice.api === "iommufd-compat" ? "iommufd" : "vfio",
          fd: choice.api === "iommufd-compat" ? (fds.iommufd ?? fds.container) : fds.container,
          host,
        })
      : undefined;
  const container = own ?? (options.iommu as Container | undefined);
  using failed = new DisposableStack();
  // A device that its group gave out already: the group is open elsewhere, and cannot be opened again.
  const entered =
    fds.device === undefined || fds.group !== undefined ? container?.enter(bdf, fds.group) : undefined;
  const leave = entered?.leave ?? container?.hold() ?? (() => {});
  failed.defer(leave);
  const descriptor = failed.use(
    fds.device === undefined
      ? entered!.group.openDevice(bdf, vfToken)
      : FileDescriptor.duplicate(fds.device, bdf, { device: bdf }),
  );
  failed.move();
  return new KernelDevice({
    ...choice,
    bdf,
    descriptor,
    container,
    dma: container?.dma,
    iommufdDevice: undefined,
    host,
    resetTimeout: options.resetTimeout,
    release: leave,
  });
}

/** @param node its node; not looked at where a descriptor of it is given */
function openCdev(
  bdf: string,
  choice: ApiChoice,
  host: Sysroot,
  options: OpenOptions,
  node: string | undefined,
): KernelDevice {
  const { fds = {}, vfToken } = options;
  using failed = new DisposableStack();
  const descriptor = failed.use(cdevOf(bdf, host, node, fds.device));
  const bound = isBound(descriptor.fd);
  if (bound && isAlone(options)) {
    failed.move();
    return new KernelDevice({
      ...{ ...choice, bdf, descriptor, host, resetTimeout: options.resetTimeout },
      ...{ container: undefined, dma: undefined, iommufdDevice: undefined, release: () => {} },
    });
  }
  // As with a container: an address space of the device's own is let go of at once, and ends with the device.
  using own = options.iommu === undefined ? Ioas.open({ fd: fds.iommufd, host }) : undefined;
  const ioas = own ?? (options.iommu as Ioas);
  const leave = ioas.enter();
  failed.defer(leave);
  const iommufdDevice = bound
    ? undefined
    : bindIommufd(descriptor.fd, ioas.iommufd.fd, vfToken === undefined ? undefined : tokenBytes(vfToken), {
        device: bdf,
        hint: (code) => deviceHint(host, bdf, vfToken !== undefined, code, descriptor.fd),
      });
  attachIommufdPt(descriptor.fd, ioas.id, undefined, {
    device: bdf,
    hint: (code) => joinHint(host, bdf, groupIdOf(host, bdf)?.number, code),
  });
  failed.move();
  return new KernelDevice({
    ...choice,
    bdf,
    descriptor,
    container: undefined,
    // Without an IOMMU nothing translates what the device sends: IOVAs would be none.
    dma: choice.api === "noiommu" ? undefined : ioas.dma,
    physical: choice.api === "noiommu" ? new PhysicalMemory(ioas) : undefined,
    iommufdDevice,
    host,
    resetTimeout: options.resetTimeout,
    detach: () => detachIommufdPt(descriptor.fd, undefined, { device: bdf }),
    release: leave,
  });
}

function cdevOf(
  bdf: string,
  host: Sysroot,
  node: string | undefined,
  fd: number | undefined,
): FileDescriptor {
  if (fd !== undefined) return FileDescriptor.duplicate(fd, bdf, { device: bdf });
  if (node === undefined)
    throw new VfioError(`${bdf}: has no node in /dev/vfio/devices`, {
      code: "ENOENT",
      device: bdf,
      hint: missingNode(host, bdf),
    });
  return FileDescriptor.open(host.at(node), {
    name: bdf,
    device: bdf,
    hint: (code) => openHint(host, bdf, node, code),
  });
}

/** A cdev answers once it is bound, and EINVAL before. */
function isBound(fd: number): boolean {
  const info = create(VfioDeviceInfo);
  info.argsz = VfioDeviceInfo.baseSize;
  return ioctlOrErrno(fd, vfioRequest.DEVICE_GET_INFO, bytesOf(info)) >= 0;
}
