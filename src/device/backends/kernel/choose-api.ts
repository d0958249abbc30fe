// Which of the kernel's ways to a device there is, and why.
import { VfioError } from "../../../ffi/errors.ts";
import { isBoundToVfio } from "../../host/device-folder.ts";
import type { Sysroot } from "../../host/sysroot.ts";
import {
  cdevNode,
  containerNode,
  groupIdOf,
  groupNode,
  iommufdNode,
  isWithoutIommu,
} from "../../host/vfio-nodes.ts";
import { missingNode, noPermission } from "./open-hints.ts";

/** A way to open a device: its cdev with an iommufd, or its group in a container of one of three kinds. */
export type DeviceApi = "iommufd" | "group" | "iommufd-compat" | "noiommu";

/** Whether one way is open, in a line. */
interface Way {
  readonly api: DeviceApi;
  readonly open: boolean;
  readonly line: string;
  /** Nodes that are all that it lacks. */
  readonly denied: string | undefined;
}

/** The way that a device is opened, and why. */
export interface ApiChoice {
  /** By which API. */
  readonly api: DeviceApi;
  /** Of each way whether it is open and why, the best first; the one that was chosen is among them. */
  readonly explain: readonly string[];
}

/** Why a way is not open; `denied` names nodes that are there, and not for this process. */
interface Problem {
  readonly text: string;
  readonly denied?: string;
}

/** Why this process may not use all of these nodes; undefined where it may. */
function problemOf(host: Sysroot, ...nodes: readonly string[]): Problem | undefined {
  const missing = nodes.find((node) => !host.exists(node));
  if (missing !== undefined) return { text: `there is no ${missing}` };
  const denied = nodes.filter((node) => !host.mayUse(node)).join(" and ");
  return denied === "" ? undefined : { text: `this process may not open ${denied}`, denied };
}

/** @param token the device is asked for with a VF token, which a cdev takes only from Linux 6.18 on */
function ways(host: Sysroot, bdf: string, token: boolean): Way[] {
  const cdev = cdevNode(host, bdf);
  const group = groupIdOf(host, bdf);
  const node = group && groupNode(group);
  /** Why its group does not go with another node. */
  const groupProblem = (other: string): Problem | undefined => {
    if (group === undefined || node === undefined) return { text: `${bdf} has no IOMMU group` };
    return group.noiommu ? { text: `${bdf} has no IOMMU` } : problemOf(host, node, other);
  };
  const way = (api: DeviceApi, problem: Problem | undefined, nodes: string): Way => ({
    api,
    open: problem === undefined,
    line: problem === undefined ? `${api}: possible, with ${nodes}` : `${api}: no, ${problem.text}`,
    denied: problem?.denied,
  });
  const noiommuWay = (): Way => {
    if (cdev !== undefined && hasOwnNodeWithoutIommu(host, bdf))
      return way("noiommu", problemOf(host, iommufdNode, cdev), `${iommufdNode} and ${cdev}`);
    if (node !== undefined && group?.noiommu)
      return way("noiommu", problemOf(host, node, containerNode), `${containerNode} and ${node}`);
    return way("noiommu", { text: `${bdf} has no group without IOMMU` }, "");
  };
  const byCdev = way(
    "iommufd",
    cdev === undefined
      ? (problemOf(host, iommufdNode) ?? { text: `${bdf} has no node in /dev/vfio/devices` })
      : isWithoutIommu(host, bdf)
        ? { text: `${bdf} has no IOMMU` }
        : problemOf(host, iommufdNode, cdev),
    `${iommufdNode} and ${cdev}`,
  );
  const byGroup = way("group", groupProblem(containerNode), `${containerNode} and ${node}`);
  return [
    ...(token ? [byGroup, byCdev] : [byCdev, byGroup]),
    way("iommufd-compat", groupProblem(iommufdNode), `${iommufdNode} and ${node}`),
    noiommuWay(),
  ];
}

/**
 * Whether a device without IOMMU is opened by its own node, from Linux 7.3 on, and not by its group: through an iommufd, the kernel
 * tells where memory is. It is, but where this process may open the group alone.
 */
export function hasOwnNodeWithoutIommu(host: Sysroot, bdf: string): boolean {
  const cdev = cdevNode(host, bdf);
  if (cdev === undefined || !isWithoutIommu(host, bdf)) return false;
  if (problemOf(host, iommufdNode, cdev) === undefined) return true;
  const group = groupIdOf(host, bdf);
  return group === undefined || problemOf(host, groupNode(group), containerNode) !== undefined;
}

/**
 * Chooses a way: the first that is open of the device's cdev with an iommufd, its group, and its group with an iommufd.
 * Never noiommu, where nothing keeps the device from writing all memory: that must be asked for.
 * @throws VfioError where none is open, with the reasons
 */
export function chooseApi(host: Sysroot, bdf: string, wanted: DeviceApi | "auto", token = false): ApiChoice {
  const all = ways(host, bdf, token);
  const lines = all.map(({ line }) => line);
  if (wanted !== "auto") return { api: wanted, explain: [`${wanted}: asked for`, ...lines] };
  const found = all.find(({ api, open }) => open && api !== "noiommu");
  if (found)
    return {
      api: found.api,
      explain: [
        `${found.api}: chosen, the first that is possible`,
        ...(token ? ["a VF token is given, which every kernel takes for a group: the group goes first"] : []),
        ...lines,
      ],
    };
  throw refusal(host, bdf, all);
}

const askForNoiommu =
  'Without an IOMMU the device can read and write all memory. If it is trusted, ask for it: { api: "noiommu" }.';

/**
 * Refuses a device without IOMMU where it is not asked for as such: an iommufd takes it from Linux 7.3 on like any other.
 * @param node what its descriptor was opened as, where somebody else did
 * @throws VfioError `EPERM`
 */
export function checkIommu(host: Sysroot, bdf: string, { api }: ApiChoice, node?: string): void {
  if (api === "noiommu" || !(isWithoutIommu(host, bdf) || node?.includes("/noiommu-"))) return;
  throw new VfioError(`${bdf}: cannot be opened: ${api}: no, ${bdf} has no IOMMU`, {
    code: "EPERM",
    device: bdf,
    hint: askForNoiommu,
  });
}

/** Why no way is open. What stands before all of them is told alone; else of each what it lacks. */
function refusal(host: Sysroot, bdf: string, all: readonly Way[]): VfioError {
  const message = `${bdf}: cannot be opened`;
  if (!isBoundToVfio(host, bdf))
    return new VfioError(message, { code: "ENOENT", device: bdf, hint: missingNode(host, bdf) });
  const each = `${message}: ${all.map(({ line }) => line).join("; ")}`;
  if (all.some(({ api, open }) => open && api === "noiommu"))
    return new VfioError(each, {
      code: "EPERM",
      device: bdf,
      hint: askForNoiommu,
    });
  const denied = all.find((way) => way.denied !== undefined)?.denied;
  return denied === undefined
    ? new VfioError(each, { code: "ENOENT", device: bdf, hint: missingNode(host, bdf) })
    : new VfioError(each, { code: "EACCES", device: bdf, hint: noPermission(denied) });
}
