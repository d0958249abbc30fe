// The next step a person can take when a device cannot be opened: what names the culprit.
import { bindingWrites, readBinding, shellCommand, bindTo, detachDriver } from "../../host/binding.ts";
import { deviceFolder, driverOf, isBoundToVfio, physicalFunctionOf } from "../../host/device-folder.ts";
import type { Sysroot } from "../../host/sysroot.ts";
import { readGroup, type GroupMember } from "../../host/iommu-group.ts";
import { nodeHolders } from "../../host/node-holders.ts";
import { containerNode, deviceNodes, groupIdOf, groupNode, iommufdNode } from "../../host/vfio-nodes.ts";

/** Commands that give a function to vfio-pci; or take its driver from a bridge, which no other may have. */
function freeingCommands(host: Sysroot, bdf: string, bridge = false): string {
  const now = readBinding(host, bdf);
  const writes = bindingWrites(now, bridge ? detachDriver(now) : bindTo("vfio-pci"));
  return writes.map(shellCommand).join("; ");
}

const noiommuMode = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";

/** Why a device has no node of VFIO's: it is not there, or bound to another driver, or the kernel lacks a part. */
export function missingNode(host: Sysroot, bdf: string): string {
  if (!host.exists(deviceFolder(bdf))) return `There is no PCI device ${bdf} on this host.`;
  // Without a group vfio-pci does not take it, unless it was told to do without.
  if (!groupIdOf(host, bdf) && !host.text(noiommuMode)?.startsWith("Y"))
    return (
      `${bdf} has no IOMMU group: turn the IOMMU on in the firmware and on the kernel's command line ` +
      `(intel_iommu=on), or allow devices without one: echo 1 > ${noiommuMode}`
    );
  if (!isBoundToVfio(host, bdf)) {
    if (!host.exists("/sys/bus/pci/drivers/vfio-pci"))
      return `vfio-pci is not loaded: modprobe vfio-pci; then bun-vfio bind ${bdf}`;
    const driver = driverOf(host, bdf);
    const bound = driver === undefined ? "bound to no driver" : `bound to ${driver}`;
    return `${bdf} is ${bound}, not to vfio-pci. Give it to vfio-pci: ${freeingCommands(host, bdf)}`;
  }
  const group = groupIdOf(host, bdf);
  return (
    "The kernel has nodes for it that are not in this /dev: in a container, pass them in, as docker run " +
    `--device ${containerNode}${group === undefined ? "" : ` --device ${groupNode(group)}`}; ` +
    "otherwise see whether udev runs, and for iommufd modprobe iommufd."
  );
}

const memberText = ({ name, driver }: GroupMember): string => `${name} (${driver ?? "no driver"})`;

/** Who blocks a group, and the commands that free it; undefined where nobody of it does. */
export function blockers(host: Sysroot, group: number): string | undefined {
  const members = readGroup(host, group)?.members ?? [];
  const bad = members.filter(({ state }) => state === "blocks");
  if (bad.length === 0) return undefined;
  const fine = members.filter((member) => !bad.includes(member)).map(memberText);
  const commands = bad.flatMap(({ name, pci }) => (pci ? freeingCommands(host, name, pci.bridge) : []));
  return (
    `Group ${group} is blocked by ${bad.map(memberText).join(", ")}` +
    `${fine.length > 0 ? `; fine: ${fine.join(", ")}` : ""}. ` +
    `All of a group go to VFIO together: ${commands.join("; ")}`
  );
}

/** Who has the nodes of a device open. @param except our own descriptor, which does not count */
export function heldBy(host: Sysroot, bdf: string, except?: number): string {
  const nodes = deviceNodes(host, bdf);
  const holders = nodeHolders(host, nodes, except);
  if (holders.length === 0)
    return `${bdf} is busy, but no process visible to this user has ${nodes.join(" or ") || "it"} open. Run as root to see all processes.`;
  const list = holders.map(({ pid, name }) =>
    pid === process.pid ? `this process (pid ${pid})` : `${name} (pid ${pid})`,
  );
  const own = holders.some(({ pid }) => pid === process.pid);
  return (
    `${bdf} is held by ${[...new Set(list)].join(", ")}.` +
    (own
      ? " Close what is open here first: mappings, the device, its group, the container; or open it in the same container."
      : "")
  );
}

/** What keeps this process from nodes. @param nodes joined by `and` */
export function noPermission(nodes: string): string {
  return `Permission denied on ${nodes}. Run as root, change its owner (chown or a udev rule), or add it to the container's device list.`;
}

/** Why opening a node fails. */
export function openHint(
  host: Sysroot,
  bdf: string | undefined,
  node: string,
  code: string,
): string | undefined {
  switch (code) {
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      if (node === iommufdNode)
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
function noRemapping(host: Sysroot): string {
  const modules = ["vfio_iommu_type1", "iommufd"].filter(
    (name) => host.text(`/sys/module/${name}/parameters/allow_unsafe_interrupts`) === "N",
  );
  return (
    "The IOMMU does not remap interrupts: turn interrupt remapping on in the firmware (and without intremap=off); " +
    `or, for guests that are trusted, ${modules.map((name) => `echo 1 > /sys/module/${name}/parameters/allow_unsafe_interrupts`).join(" and ") || "allow unsafe interrupts"}.`
  );
}

/** Why a group or a device does not come into a container or an address space. */
export function joinHint(
  host: Sysroot,
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
  host: Sysroot,
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
      if (cdev !== undefined && nodeHolders(host, deviceNodes(host, bdf), cdev).length > 0)
        return heldBy(host, bdf, cdev);
      if (hasToken)
        return "The kernel takes no VF token here: the function needs none, or a cdev takes one from Linux 6.18 on only (the group does before).";
      return "A virtual function whose physical one is used through VFIO needs a VF token; pass no token otherwise.";
    case "ENODEV":
      return missingNode(host, bdf);
    case "EBUSY":
      return heldBy(host, bdf, cdev);
    case "EPERM":
      return joinHint(host, bdf, groupIdOf(host, bdf)?.number, code);
    default:
      return undefined;
  }
}

/** Why region memory cannot be mapped into this process. */
export const regionMapHint = (code: string): string | undefined =>
  code === "EINVAL"
    ? "The kernel maps whole pages of what `sparse` lists, and no BAR smaller than a page that shares its page."
    : undefined;

/** What to do with a region of which nothing can be mapped. */
export const nothingToMap =
  "`regions` says what of a region can be mapped: I/O ports and config space cannot; read and write them.";
