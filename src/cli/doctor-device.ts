import { nodeHolders } from "../device/host/node-holders.ts";
import { deviceNodes } from "../device/host/vfio-nodes.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import { missing, note, ok, type Check } from "./doctor-host.ts";
import { findDevice, type HostView } from "./host.ts";
import { CliError } from "./failure.ts";

/** What one device needs besides. */
export function deviceChecks(view: HostView, device: PciDevice): Check[] {
  const { bdf, bridge } = device;
  if (bridge)
    return [
      missing(
        "endpoint",
        `${bdf} is a bridge, which stays with the host`,
        "pass through the devices behind it",
      ),
    ];
  return [
    ...groupChecks(view, device),
    driverCheck(view, device),
    ...nodeChecks(view, device),
    cdevCheck(view, device),
    resetCheck(device),
    tokenCheck(view, device),
  ];
}

function groupChecks({ groups, host }: HostView, { bdf, iommuGroup, noiommu }: PciDevice): Check[] {
  const name = "group";
  if (noiommu)
    return [
      note(
        name,
        `${bdf} has no IOMMU, and can read and write all of memory; it is opened with api "noiommu" alone`,
      ),
    ];
  const group = groups.find(({ id }) => id === iommuGroup);
  if (!group)
    return [
      host.noiommu
        ? note(name, `${bdf} is in no group; without an IOMMU, binding it makes one`)
        : missing(name, `${bdf} is in no IOMMU group`, "turn on the IOMMU first, as above"),
    ];
  const culprits = group.members.filter(({ name: member, state }) => state === "blocks" && member !== bdf);
  const others = group.members.length - 1;
  if (culprits.length === 0)
    return [
      ok(
        name,
        others === 0
          ? `group ${group.id} has this device alone`
          : `none of the ${others} others of group ${group.id} stands in the way`,
      ),
    ];
  const named = culprits.map(({ name: member, driver }) => `${member} (${driver})`).join(", ");
  const slots = new Set(group.members.map(({ name: member }) => member.replace(/\.\d$/, "")));
  const acs = slots.size > 1 ? "; a slot below a bridge with ACS would part them" : "";
  return [
    missing(
      name,
      `group ${group.id} is not viable: ${named} ${culprits.length > 1 ? "are" : "is"} the host's`,
      `bun-vfio bind --group ${bdf}${acs}`,
    ),
  ];
}

function driverCheck({ uses }: HostView, { bdf, vfio, driver }: PciDevice): Check {
  if (vfio) return ok("driver", `${bdf} is bound to ${driver}`);
  const use = (uses.get(bdf) ?? []).map(({ text }) => text).join("; ");
  return missing(
    "driver",
    `${bdf} ${driver === undefined ? "has no driver" : `is bound to ${driver}`}${use === "" ? "" : `, and the host uses it: ${use}`}`,
    use === "" ? `bun-vfio bind ${bdf}` : `free it, then bun-vfio bind ${bdf}`,
  );
}

function nodeChecks({ files }: HostView, device: PciDevice): Check[] {
  const { vfio, iommuGroup } = device;
  const name = "device-permissions";
  if (!vfio) return [note(name, "its nodes in /dev/vfio come with the driver")];
  const nodes = deviceNodes(files, device.bdf);
  if (nodes.length === 0)
    return [
      missing(
        name,
        `there is no node in /dev/vfio for it${iommuGroup === undefined ? "" : `, neither for group ${iommuGroup} nor for itself`}`,
        "in a container, pass the nodes into it; otherwise see whether udev runs",
      ),
    ];
  const open = nodes.filter((node) => files.mayUse(node));
  const usable =
    open.length > 0
      ? ok(name, `${open.join(" and ")} can be opened`)
      : missing(
          name,
          `${nodes.join(" and ")} cannot be opened by this user`,
          `run it as root, or give this user read and write access, as setfacl -m u:USER:rw ${nodes.join(" ")}`,
        );
  const holders = nodeHolders(files, nodes).map(
    ({ name: command, pid, node }) => `${command} (process ${pid}) has ${node}`,
  );
  return [
    usable,
    holders.length === 0
      ? ok("free", "no process that can be seen has it open")
      : missing(
          "free",
          `it is open: ${holders.join(", ")}`,
          "end that process, or let it hand the device over",
        ),
  ];
}

function cdevCheck({ host }: HostView, { cdev, noiommu, vfio }: PciDevice): Check {
  const name = "cdev";
  if (cdev !== undefined) {
    const node = `it has a node of its own, /dev/vfio/devices/${cdev}`;
    return noiommu ? note(name, `${node}, without an IOMMU`) : ok(name, node);
  }
  if (!vfio) return note(name, "whether it has a node of its own shows once it is bound");
  return host.noiommu
    ? note(name, "it has no node of its own: without an IOMMU there is its group's alone")
    : note(
        name,
        "it has no node of its own, so it is opened through its group (CONFIG_VFIO_DEVICE_CDEV is off)",
      );
}

function resetCheck({ resetMethods, resettable }: PciDevice): Check {
  const name = "reset";
  if (resettable) {
    const how = resetMethods === undefined ? "" : ` by ${resetMethods.join(", ")}`;
    if (resetMethods?.every((method) => method === "bus"))
      return note(name, "it can be reset by its bus alone, together with all that is on it");
    return ok(name, `it can be reset${how}`);
  }
  return note(
    name,
    "it cannot be reset by itself, so one guest may leave state for the next",
    "a hot reset of its bus does it, together with all that is on it",
  );
}

function tokenCheck(
  { files }: HostView,
  { bdf, physicalFunction, virtualFunctions, vfio }: PciDevice,
): Check {
  const name = "vf-token";
  if (physicalFunction === undefined) {
    if (vfio && virtualFunctions.length > 0)
      return note(name, `its virtual functions can be opened with the token alone that is set on it`);
    return note(name, "no token is needed: it is no virtual function");
  }
  let owner: PciDevice | undefined;
  try {
    owner = findDevice(files, physicalFunction);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
  }
  if (owner?.vfio)
    return note(
      name,
      `${bdf} needs a VF token, because ${physicalFunction} is bound to ${owner.driver}`,
      `give the UUID that the owner of ${physicalFunction} set`,
    );
  return ok(name, `no token is needed: ${physicalFunction} is bound to ${owner?.driver ?? "no driver"}`);
}
