import { functionsOn } from "../device/host/function-of.ts";
import type { IommuGroup } from "../device/host/iommu-group.ts";
import { nodeHolders } from "../device/host/node-holders.ts";
import { isHostPart, type PciDevice } from "../device/host/pci-device.ts";
import { rebindRefusals, type RebindRefusal } from "../device/host/rebind-refusals.ts";
import { deviceNodes } from "../device/host/vfio-nodes.ts";
import { plannedBindings, withGroups } from "./bind-plan.ts";
import { missing, note, ok, type Check } from "./doctor-check.ts";
import { CliError } from "./failure.ts";
import { findDevice, type HostState } from "./host.ts";

/** What one device needs besides. @param lacking names of checks of the host that are missing */
export function deviceChecks(view: HostState, device: PciDevice, lacking: ReadonlySet<string>): Check[] {
  const { bdf, bridge } = device;
  if (isHostPart(device) && !device.vfio)
    return [
      missing(
        "endpoint",
        bridge
          ? `${bdf} is a bridge, which stays with the host`
          : `${bdf} is a bridge of the host, which relies on it`,
        bridge ? "pass through the devices behind it" : "pass through another device",
      ),
    ];
  const groups = groupChecks(view, device);
  const blocked = groups.some(({ status }) => status === "missing");
  const cause = ["iommu", "vfio-pci"].find((name) => lacking.has(name)) ?? (blocked ? "group" : undefined);
  return [
    ...groups,
    driverCheck(view, device, cause),
    ...nodeChecks(view, device, lacking),
    cdevCheck(view, device),
    resetCheck(device),
    tokenCheck(view, device),
  ];
}

function groupChecks(view: HostState, device: PciDevice): Check[] {
  const name = "group";
  const { groups, host } = view;
  const { bdf, iommuGroup, noiommu } = device;
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
        : missing(
            name,
            `${bdf} is in no IOMMU group`,
            groups.length === 0
              ? "turn on the IOMMU first"
              : "no IOMMU stands before it, though others have one: put it into another slot",
            "iommu",
          ),
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
  return [
    missing(name, `group ${group.id} is held by the host, with ${named}`, groupFix(view, device, group)),
  ];
}

/** What frees a group: a command that does it, or what that would refuse, and what else there is. */
function groupFix({ files }: HostState, device: PciDevice, group: IommuGroup): string {
  const slots = new Set(group.members.map(({ name: member }) => member.replace(/\.\d$/, "")));
  const acs = slots.size > 1 ? "; a slot below a bridge with ACS would part them" : "";
  const bind = `bun-vfio bind --group ${device.bdf}`;
  const found = rebindRefusals(
    files,
    plannedBindings(files, withGroups(files, [device]), new Set([device.bdf])),
  );
  const [first] = found;
  if (!first) return `${bind}${acs}`;
  const why = `${first.bdf}: ${first.reason}`;
  const stays = found.find(({ remedy }) => remedy === undefined);
  if (stays) return `${stays.bdf} stays: ${stays.reason}${acs || "; pass through another device"}`;
  return `${why}; ${first.remedy}, then ${bind}${acs}`;
}

function driverCheck({ files }: HostState, device: PciDevice, cause: string | undefined): Check {
  const { bdf, vfio, driver } = device;
  if (vfio) return ok("driver", `${bdf} is bound to ${driver}`);
  const found = rebindRefusals(files, plannedBindings(files, [device], new Set([bdf]))).filter(
    ({ kind }) => kind !== "no-iommu",
  );
  const use = found.map(({ reason }) => reason).join("; ");
  return missing(
    "driver",
    `${bdf} ${driver === undefined ? "has no driver" : `is bound to ${driver}`}${use === "" ? "" : `, and the host uses it: ${use}`}`,
    bindFix(bdf, found),
    cause,
  );
}

function bindFix(bdf: string, found: readonly RebindRefusal[]): string {
  if (found.length === 0) return `bun-vfio bind ${bdf}`;
  const remedies = [...new Set(found.flatMap(({ remedy }) => remedy ?? []))];
  // What has no remedy, as the firmware's console, takes force.
  return found.every(({ remedy }) => remedy !== undefined)
    ? `${remedies.join(", ")}, then bun-vfio bind ${bdf}`
    : `${[...remedies, "if the host can do without it"].join(", ")}, bun-vfio bind --force ${bdf}`;
}

function nodeChecks({ files }: HostState, device: PciDevice, lacking: ReadonlySet<string>): Check[] {
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
        lacking.has("permissions") ? "permissions" : undefined,
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

function cdevCheck({ host }: HostState, { cdev, noiommu, vfio }: PciDevice): Check {
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

function resetCheck({ path, resetMethods, resettable }: PciDevice): Check {
  const name = "reset";
  if (resettable) {
    const how = resetMethods === undefined ? "" : ` by ${resetMethods.join(", ")}`;
    if (resetMethods?.every((method) => method === "bus"))
      return note(name, "it can be reset by its bus alone, together with all that is on it");
    return ok(name, `it can be reset${how}`);
  }
  const state = "it cannot be reset by itself, so one guest may leave state for the next";
  // A bus is reset by the bridge above it.
  return functionsOn(path).length < 2
    ? note(name, `${state}; nor can its bus, which is a root bus`)
    : note(name, state, "a hot reset of its bus does it, together with all that is on it");
}

function tokenCheck(
  { files }: HostState,
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
