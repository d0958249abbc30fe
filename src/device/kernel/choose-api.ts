// Which of the kernel's ways to a device there is, and why.
import { accessSync, constants } from "node:fs";
import { VfioError } from "../../ffi/errors.ts";
import { missingNode } from "./hints.ts";
import {
  cdevNode,
  containerNode,
  driverOf,
  exists,
  groupNode,
  groupOf,
  iommufdNode,
  isVfioDriver,
  type HostPaths,
} from "./host.ts";

/** A way to open a device: its cdev with an iommufd, or its group in a container of one of three kinds. */
export type DeviceApi = "iommufd" | "group" | "iommufd-compat" | "noiommu";

/** Whether one way is open, in a line. */
interface Way {
  readonly api: DeviceApi;
  readonly open: boolean;
  readonly line: string;
}

export interface ApiChoice {
  readonly api: DeviceApi;
  /** Of each way whether it is open and why, the best first; the one that was chosen is among them. */
  readonly explain: readonly string[];
}

/** A node that this process may use, or why not. */
function problemOf(node: string): string | undefined {
  if (!exists(node)) return `there is no ${node}`;
  try {
    accessSync(node, constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return `this process may not open ${node}`;
  }
}

/** @param token the device is asked for with a VF token, which a cdev takes only from Linux 6.18 on */
function ways(host: HostPaths, bdf: string, token: boolean): Way[] {
  const cdev = cdevNode(host, bdf);
  const group = groupOf(host, bdf);
  const iommufd = problemOf(iommufdNode(host));
  const node = group && groupNode(host, group);
  const groupProblem = node === undefined ? `${bdf} has no IOMMU group` : problemOf(node);
  const remapped = group?.noiommu ? `${bdf} has no IOMMU` : groupProblem;
  const container = problemOf(containerNode(host));
  const way = (api: DeviceApi, problem: string | undefined, nodes: string): Way => ({
    api,
    open: problem === undefined,
    line: problem === undefined ? `${api}: possible, with ${nodes}` : `${api}: no, ${problem}`,
  });
  const byCdev = way(
    "iommufd",
    iommufd ?? (cdev === undefined ? `${bdf} has no node in ${host.dev}/vfio/devices` : problemOf(cdev)),
    `${iommufdNode(host)} and ${cdev}`,
  );
  const byGroup = way("group", remapped ?? container, `${containerNode(host)} and ${node}`);
  return [
    ...(token ? [byGroup, byCdev] : [byCdev, byGroup]),
    way("iommufd-compat", remapped ?? iommufd, `${iommufdNode(host)} and ${node}`),
    way(
      "noiommu",
      group?.noiommu ? (groupProblem ?? container) : `${bdf} has no group without IOMMU`,
      `${containerNode(host)} and ${node}`,
    ),
  ];
}

/**
 * Chooses a way: the first that is open of the device's cdev with an iommufd, its group, and its group with an iommufd.
 * Never noiommu, where nothing keeps the device from writing all memory: that must be asked for.
 * @throws VfioError where none is open, with the reasons
 */
export function chooseApi(
  host: HostPaths,
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
  const bound = isVfioDriver(driverOf(host, bdf));
  throw new VfioError(`${bdf}: cannot be opened: ${lines.join("; ")}`, {
    code: noiommu ? "EPERM" : "ENOENT",
    device: bdf,
    hint: noiommu
      ? 'Without an IOMMU the device can read and write all memory. If it is trusted, ask for it: { api: "noiommu" }.'
      : bound
        ? "Load what is missing: modprobe vfio-pci iommufd; as root, or with the nodes given to this user."
        : missingNode(host, bdf),
  });
}
