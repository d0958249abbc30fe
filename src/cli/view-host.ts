// This host as a page has it: what `ls` and `groups` print.
import { functionsOn } from "../device/host/function-of.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import { readPciNames, type PciNames } from "../device/host/pci-names.ts";
import { deviceVerdict, groupReason, groupState } from "../device/host/verdict.ts";
import type { Fact, HostData, HostDevice, HostGroup } from "../view/page-data.ts";
import { className, titleOf } from "./device-title.ts";
import { memberWords } from "./groups.ts";
import { classText, idsText, type HostState } from "./host.ts";
import { rootOf } from "./ls-tree.ts";
import { verdictWords } from "./verdict-text.ts";

/** @param state as `readHostState` reads it */
export function hostData(state: HostState): HostData {
  const names = readPciNames(state.files);
  const { kernel, iommus } = state.host;
  return {
    facts: [
      ["Kernel", kernel ?? "unknown"],
      ["IOMMUs", iommus.map(({ name, type }) => `${name} (${type})`).join(", ") || "none is on"],
    ],
    devices: state.devices.map((device) => hostDevice(device, state, names)),
    groups: state.groups.map((group): HostGroup => {
      const groupVerdict = groupState(group, state.uses);
      return {
        id: group.id,
        state: groupVerdict,
        verdict: verdictWords[groupVerdict],
        reason: groupReason(group),
        members: group.members.map(({ name, driver, state: member }) => ({
          name,
          driver,
          blocks: member === "blocks",
          state: memberWords[member],
          uses: (state.uses.get(name) ?? []).map(({ text }) => text),
        })),
      };
    }),
  };
}

function hostDevice(
  device: PciDevice,
  { groups, uses, host, names: kernelNames }: HostState,
  names: PciNames,
): HostDevice {
  const { bdf, driver, iommuGroup } = device;
  const group = groups.find(({ id }) => id === iommuGroup);
  const { state, reason, culprits } = deviceVerdict(device, group, uses, host);
  const kernel = kernelNames.get(bdf);
  const known = kernel?.names ?? [];
  return {
    ...{ bdf, driver, state, reason, culprits },
    parent: functionsOn(device.path).at(-2) ?? rootOf(device),
    title: [
      ...known,
      titleOf({ device, kernel }, names) ?? className(device, names) ?? classText(device),
    ].join(" "),
    group: iommuGroup,
    verdict: verdictWords[state],
    facts: deviceFacts(
      device,
      names,
      (uses.get(bdf) ?? []).map(({ text }) => text),
    ),
  };
}

function deviceFacts(device: PciDevice, names: PciNames, uses: readonly string[]): Fact[] {
  const { driver, iommuGroup, numaNode, cdev, resetMethods, resettable, problems } = device;
  const facts: readonly (readonly [label: string, text: string | number | undefined])[] = [
    ["Class", `${classText(device)} ${className(device, names) ?? ""}`.trim()],
    ["IDs", idsText(device)],
    ["Driver", driver ?? "none"],
    ["IOMMU group", iommuGroup ?? "none"],
    ["NUMA node", numaNode],
    ["VFIO character device", cdev],
    ["Reset", resetMethods?.join(", ") ?? (resettable ? "possible" : "not possible")],
    ["The host uses it", uses.join("; ") || undefined],
    ["sysfs makes no sense", problems.join("; ") || undefined],
  ];
  return facts.flatMap(([label, text]): Fact[] => (text === undefined ? [] : [[label, String(text)]]));
}
