// Which of the kernel's ways to a device there is, and why.
import { VfioError } from "../../ffi/errors.ts";
import { isBoundToVfio } from "../sysfs/device-folder.ts";
import type { HostFiles } from "../sysfs/host-files.ts";
import { cdevNode, containerNode, groupIdOf, groupNode, iommufdNode } from "../sysfs/vfio-nodes.ts";
import { missingNode, noPermission } from "./hints.ts";

/** A way to open a device: its cdev with an iommufd, or its group in a container of one of three kinds. */
export type DeviceApi = "iommufd" | "group" | "iommufd-compat" | "noiommu";

/** Whether one way is open, in a line. */
interface Way {
  readonly api: DeviceApi;
  readonly open: boolean;
  readonly line: string;
  /** A node that is all that it lacks, as far as this process may look. */
  readonly denied: string | undefined;
}

export interface ApiChoice {
  readonly api: DeviceApi;
  /** Of each way whether it is open and why, the best first; the one that was chosen is among them. */
  readonly explain: readonly string[];
}

/** Why a way is not open; `denied` names a node that is there, and not for this process. */
interface Problem {
  readonly text: string;
  readonly denied?: string;
}

/** Why this process may not use a node; undefined where it may. */
function problemOf(host: HostFiles, node: string): Problem | undefined {
  if (!host.exists(node)) return { text: `there is no ${node}` };
  return host.mayUse(node) ? undefined : { text: `this process may not open ${node}`, denied: node };
}

/** @param token the device is asked for with a VF token, which a cdev takes only from Linux 6.18 on */
function ways(host: HostFiles, bdf: string, token: boolean): Way[] {
  const cdev = cdevNode(host, bdf);
  const group = groupIdOf(host, bdf);
  const iommufd = problemOf(host, iommufdNode);
  const node = group && groupNode(group);
  const groupProblem = node === undefined ? { text: `${bdf} has no IOMMU group` } : problemOf(host, node);
  const remapped = group?.noiommu ? { text: `${bdf} has no IOMMU` } : groupProblem;
  const container = problemOf(host, containerNode);
  const way = (api: DeviceApi, problem: Problem | undefined, nodes: string): Way => ({
    api,
    open: problem === undefined,
    line: problem === undefined ? `${api}: possible, with ${nodes}` : `${api}: no, ${problem.text}`,
    denied: problem?.denied,
  });
  const byCdev = way(
    "iommufd",
    iommufd ??
      (cdev === undefined ? { text: `${bdf} has no node in /dev/vfio/devices` } : problemOf(host, cdev)),
    `${iommufdNode} and ${cdev}`,
  );
  const byGroup = way("group", remapped ?? container, `${containerNode} and ${node}`);
  return [
    ...(token ? [byGroup, byCdev] : [byCdev, byGroup]),
    way("iommufd-compat", remapped ?? iommufd, `${iommufdNode} and ${node}`),
    way(
      "noiommu",
      group?.noiommu ? (groupProblem ?? container) : { text: `${bdf} has no group without IOMMU` },
      `${containerNode} and ${node}`,
    ),
  ];
}

/**
 * Chooses a way: the first that is open of the device's cdev with an iommufd, its group, and its group with an iommufd.
 * Never noiommu, where nothing keeps the device from writing all memory: that must be asked for.
 * @throws VfioError where none is open, with the reasons
 */
export function chooseApi(
  host: HostFiles,
  bdf: string,
  wanted: DeviceApi | "auto",
  token = false,
): ApiChoice {
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
  const noiommu = all.some(({ api, open }) => open && api === "noiommu");
  const denied = all.find((way) => way.denied !== undefined)?.denied;
  throw new VfioError(`${bdf}: cannot be opened: ${lines.join("; ")}`, {
    code: noiommu ? "EPERM" : denied === undefined ? "ENOENT" : "EACCES",
    device: bdf,
    hint: noiommu
      ? 'Without an IOMMU the device can read and write all memory. If it is trusted, ask for it: { api: "noiommu" }.'
      : !isBoundToVfio(host, bdf)
        ? missingNode(host, bdf)
        : denied === undefined
          ? "Load what is missing: modprobe vfio-pci vfio_iommu_type1 iommufd."
          : noPermission(denied),
  });
}
