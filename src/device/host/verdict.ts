import type { HostInfo } from "./host-info.ts";
import type { InUse } from "./in-use.ts";
import type { IommuGroup } from "./iommu-group.ts";
import { isHostPart, type PciDevice } from "./pci-device.ts";

/**
 * Whether a function can be passed through.
 * - `ready`: it can be opened now
 * - `bindable`: once it, and what its group has besides, is bound to vfio-pci
 * - `in-use`: the host would miss it or a member of its group: what `bind` refuses
 * - `blocked`: it is bound, but others of its group belong to the host
 * - `bridge`: a bridge of any kind, which stays with the host
 * - `no-iommu`: no IOMMU stands before it
 */
export interface DeviceVerdict {
  /** Whether it can be passed through, as `bun-vfio ls` words it. */
  readonly state: "ready" | "bindable" | "in-use" | "blocked" | "bridge" | "no-iommu";
  /** For people, without the state. Empty where that says it all. */
  readonly reason: string;
  /** BDFs or names of other members that stand in the way. */
  readonly culprits: readonly string[];
}

/**
 * Whether a function can be passed through, and what stands in the way.
 * @param group that of the function, where it has one
 * @param uses as `readInUse` found them, by BDF
 */
export function deviceVerdict(
  device: PciDevice,
  group: IommuGroup | undefined,
  uses: ReadonlyMap<string, readonly InUse[]>,
  { noiommu }: Pick<HostInfo, "noiommu">,
): DeviceVerdict {
  if (isHostPart(device) && !device.vfio) return { state: "bridge", reason: "", culprits: [] };
  const inUse = (bdfs: readonly string[]): string =>
    [...new Set(bdfs.flatMap((bdf) => uses.get(bdf) ?? []).map(({ text }) => text))].join("; ");
  if (!group && !noiommu && !device.noiommu) {
    const use = inUse([device.bdf]);
    return { state: "no-iommu", reason: use === "" ? "" : `in use: ${use}`, culprits: [] };
  }
  const blocking = (group?.members ?? []).filter(
    ({ name, state }) => name !== device.bdf && state === "blocks",
  );
  const culprits = blocking.map(({ name }) => name);
  const named = blocking.map(({ name, driver }) => `${name} (${driver})`).join(", ");
  const without = !group || group.noiommu || device.noiommu ? "without an IOMMU" : "";
  if (device.vfio)
    return blocking.length > 0
      ? { state: "blocked", reason: `by ${named}`, culprits }
      : { state: "ready", reason: without, culprits };
  const missed = [inUse([device.bdf, ...culprits]), ...ownUses(device)].filter((text) => text !== "");
  if (missed.length > 0) return { state: "in-use", reason: missed.join("; "), culprits };
  return { state: "bindable", reason: blocking.length > 0 ? `together with ${named}` : without, culprits };
}

/** Why the host would miss a function that has neither a disk nor an interface in use. */
const ownUses = ({ bootVga, virtualFunctions }: PciDevice): string[] => [
  ...(bootVga ? ["the firmware's console is on it"] : []),
  ...(virtualFunctions.length > 0 ? [`virtual functions of it are on (${virtualFunctions.length})`] : []),
];

/**
 * Whether the functions of a group can be passed through, in the words of `deviceVerdict`: it is `ready` or `blocked` where
 * a member is bound to a VFIO driver, and a `bridge` where there is nothing else in it.
 */
export function groupState(
  { members, viable }: IommuGroup,
  uses: ReadonlyMap<string, readonly InUse[]>,
): Exclude<DeviceVerdict["state"], "no-iommu"> {
  const given = members.some(({ state }) => state === "vfio");
  if (given) return viable ? "ready" : "blocked";
  if (members.length > 0 && members.every(({ pci }) => pci && isHostPart(pci))) return "bridge";
  const isUsed = (device: PciDevice): boolean =>
    !isHostPart(device) && ((uses.get(device.bdf)?.length ?? 0) > 0 || ownUses(device).length > 0);
  return members.some(({ pci }) => pci && isUsed(pci)) ? "in-use" : "bindable";
}

/** What a group's verdict rests on, in a sentence for people. */
export function groupReason({ members, viable, noiommu }: IommuGroup): string {
  const culprits = members.filter(({ state }) => state === "blocks");
  if (!viable)
    return `held by the host: ${culprits.map(({ name, driver }) => `${name} is bound to ${driver}`).join(", ")}`;
  const some = (wanted: string): boolean => members.some(({ state }) => state === wanted);
  if (noiommu) return "without an IOMMU";
  if (some("vfio")) return "no driver of the host holds a member";
  if (members.length > 0 && members.every(({ pci }) => pci && isHostPart(pci)))
    return "bridges alone: nothing to pass through";
  return "no member is bound to a VFIO driver yet";
}
