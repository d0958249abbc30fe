// The next step a person can take when a device cannot be opened: what names the culprit.
import {
  cdevNode,
  deviceFolder,
  driverOf,
  exists,
  groupMembers,
  groupNode,
  groupOf,
  holdersOf,
  iommufdNode,
  isVfioDriver,
  physicalFunctionOf,
  readText,
  type HostPaths,
} from "./host.ts";

/** Commands that give a device to vfio-pci. */
const bindCommands = (bdf: string, driver: string | undefined): string =>
  `echo vfio-pci > /sys/bus/pci/devices/${bdf}/driver_override; ` +
  (driver === undefined ? "" : `echo ${bdf} > /sys/bus/pci/devices/${bdf}/driver/unbind; `) +
  `echo ${bdf} > /sys/bus/pci/drivers_probe`;

/** Why a device has no node of VFIO's: it is not there, or bound to another driver, or the kernel lacks a part. */
export function missingNode(host: HostPaths, bdf: string): string {
  if (!exists(deviceFolder(host, bdf))) return `There is no PCI device ${bdf} on this host.`;
  const driver = driverOf(host, bdf);
  if (!isVfioDriver(driver)) {
    const bound = driver === undefined ? "bound to no driver" : `bound to ${driver}`;
    return `${bdf} is ${bound}, not to vfio-pci. Give it to vfio-pci: ${bindCommands(bdf, driver)}`;
  }
  if (!groupOf(host, bdf))
    return (
      `${bdf} has no IOMMU group: turn the IOMMU on in the firmware and on the kernel's command line ` +
      `(intel_iommu=on), or allow devices without one: echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode`
    );
  return "The kernel has made no device node: load vfio (modprobe vfio-pci), and look whether /dev/vfio is there in this container.";
}

/** Who blocks a group, and the commands that free it; undefined where nobody of it does. */
export function blockers(host: HostPaths, group: number): string | undefined {
  const members = groupMembers(host, group);
  const bad = members.filter(({ blocks }) => blocks);
  if (bad.length === 0) return undefined;
  const fine = members
    .filter(({ blocks }) => !blocks)
    .map(({ bdf, driver }) => `${bdf} (${driver ?? "no driver"})`);
  return (
    `Group ${group} is blocked by ${bad.map(({ bdf, driver }) => `${bdf} (${driver})`).join(", ")}` +
    `${fine.length > 0 ? `; fine: ${fine.join(", ")}` : ""}. ` +
    `All of a group go to VFIO together: ${bad.map(({ bdf, driver }) => bindCommands(bdf, driver)).join("; ")}`
  );
}

/** Nodes by which a device can be held. */
function nodesOf(host: HostPaths, bdf: string): string[] {
  const group = groupOf(host, bdf);
  return [group && groupNode(host, group), cdevNode(host, bdf)].filter((node) => node !== undefined);
}

/** Who has the nodes of a device open. @param except our own descriptor, which does not count */
export function heldBy(host: HostPaths, bdf: string, except?: number): string {
  const nodes = nodesOf(host, bdf);
  const holders = holdersOf(host, nodes, except);
  if (holders.length === 0)
    return `Something holds ${bdf}: no process that this one may look at has ${nodes.join(" or ")} open; look as root.`;
  const list = holders.map(({ pid, command }) =>
    pid === process.pid ? `this process (pid ${pid})` : `${command} (pid ${pid})`,
  );
  const own = holders.some(({ pid }) => pid === process.pid);
  return (
    `${bdf} is held by ${list.join(", ")}.` +
    (own
      ? " Close what is open here first: mappings, the device, its group, the container; or open it in the same container."
      : "")
  );
}

/** What keeps this process from a node. */
function noPermission(node: string): string {
  return `This process may not open ${node}: run as root, or give the node to its user (chown, a udev rule); in a container, its device list must have it.`;
}

/** Why opening a node fails. */
export function openHint(
  host: HostPaths,
  bdf: string | undefined,
  node: string,
  code: string,
): string | undefined {
  switch (code) {
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      if (node === iommufdNode(host))
        return "This kernel has no iommufd (CONFIG_IOMMUFD), or its module is not loaded: modprobe iommufd. Or use the group.";
      return bdf === undefined
        ? "VFIO is not loaded: modprobe vfio-pci; in a container, its device list must have the node."
        : missingNode(host, bdf);
    case "EBUSY":
      return bdf === undefined ? undefined : heldBy(host, bdf);
    case "EPERM":
      return node.includes("/noiommu-") ? "A device without IOMMU wants CAP_SYS_RAWIO." : noPermission(node);
    case "EACCES":
      return noPermission(node);
    default:
      return undefined;
  }
}

/** Whether the host may give away devices whose interrupts are not remapped. */
function noRemapping(host: HostPaths): string {
  const modules = ["vfio_iommu_type1", "iommufd"].filter(
    (name) => readText(`${host.sys}/module/${name}/parameters/allow_unsafe_interrupts`) === "N",
  );
  return (
    "The IOMMU does not remap interrupts: turn interrupt remapping on in the firmware (and without intremap=off); " +
    `or, for guests that are trusted, ${modules.map((name) => `echo 1 > /sys/module/${name}/parameters/allow_unsafe_interrupts`).join(" and ") || "allow unsafe interrupts"}.`
  );
}

/** Why a group or a device does not come into a container or an address space. */
export function joinHint(
  host: HostPaths,
  bdf: string,
  group: number | undefined,
  code: string,
): string | undefined {
  const culprits = group === undefined ? undefined : blockers(host, group);
  switch (code) {
    case "EPERM":
      return culprits ?? noRemapping(host);
    case "EBUSY":
      return culprits ?? heldBy(host, bdf);
    case "ENOTTY":
      return "This kernel knows no VFIO groups here (CONFIG_VFIO_GROUP): use iommufd.";
    case "EINVAL":
      return culprits ?? "The IOMMU of the device does not go together with those that are in already.";
    case "ENODEV":
      return missingNode(host, bdf);
    default:
      return undefined;
  }
}

/** Why the device itself is not given. @param cdev our descriptor of its cdev, where it is opened through that */
export function deviceHint(
  host: HostPaths,
  bdf: string,
  hasToken: boolean,
  code: string,
  cdev?: number,
): string | undefined {
  const physical = physicalFunctionOf(host, bdf);
  switch (code) {
    case "EACCES":
      if (physical !== undefined)
        return hasToken
          ? `This is not the VF token that the user of ${physical} has set.`
          : `${bdf} is a virtual function of ${physical}, which is used through VFIO too: pass the VF token that its user has set.`;
      return hasToken
        ? "This is not the VF token that is set."
        : "The function has virtual ones in use: pass the VF token that was set with it.";
    case "EINVAL":
      // A cdev that somebody else has bound is EINVAL to the kernel, and not EBUSY.
      if (cdev !== undefined && holdersOf(host, nodesOf(host, bdf), cdev).length > 0)
        return heldBy(host, bdf, cdev);
      if (hasToken)
        return "The kernel takes no VF token here: the function needs none, or a cdev takes one from Linux 6.18 on only (the group does before).";
      return "A virtual function whose physical one is used through VFIO needs a VF token; pass no token otherwise.";
    case "ENODEV":
      return missingNode(host, bdf);
    case "EBUSY":
      return heldBy(host, bdf, cdev);
    case "EPERM":
      return joinHint(host, bdf, groupOf(host, bdf)?.number, code);
    default:
      return undefined;
  }
}

/** Why region memory cannot be mapped into this process. */
export const regionMapHint = (code: string): string | undefined =>
  code === "EINVAL"
    ? "The kernel maps whole pages of what `sparse` lists, and no BAR smaller than a page that shares its page."
    : undefined;

/** Why interrupts cannot be set. */
export function irqHint(code: string): string | undefined {
  switch (code) {
    case "EINVAL":
      return "Another kind of interrupt is on, no eventfd is set for what is triggered, or the device has fewer vectors: look at `irqs`.";
    case "ENOSPC":
      return "The host has no vectors left.";
    case "EBADF":
      return "Not every descriptor is an eventfd.";
    case "EBUSY":
      return "The unmask eventfd is set already: take it away first.";
    default:
      return undefined;
  }
}
