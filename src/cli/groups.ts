import { jsonText } from "../image/json-text.ts";
import type { GroupMember, IommuGroup } from "../device/host/iommu-group.ts";
import { readPciNames, type PciNames } from "../device/host/pci-names.ts";
import { groupReason, groupState } from "../device/host/verdict.ts";
import { deviceName } from "./device-title.ts";
import { CliError, exitCode, oneLine } from "./failure.ts";
import { classText, findDevice, idsText, readHostState, type HostState } from "./host.ts";
import { print } from "./output.ts";
import { styleOf, type Style } from "./style.ts";
import { markOf, verdictWords } from "./verdict-text.ts";
import { hex } from "../regs/hex-text.ts";

export interface GroupsOptions {
  readonly json?: boolean | undefined;
  readonly color: boolean;
}

/** Prints the IOMMU groups, or those of some functions. @returns 1 if a driver of the host holds one that was asked for */
export function groupsCommand(bdfs: readonly string[], options: GroupsOptions): number {
  const view = readHostState();
  const wanted = bdfs.map((bdf) => groupOf(view, bdf));
  const groups = bdfs.length === 0 ? view.groups : view.groups.filter((group) => wanted.includes(group.id));
  if (options.json) {
    const json = {
      formatVersion: 1,
      iommus: view.host.iommus.map(orNull),
      groups: groups.map((group) => groupJson(group, view)),
    };
    print(`${jsonText(json, undefined, 2)}\n`);
  } else if (groups.length === 0)
    print("no IOMMU groups: no IOMMU is on; bun-vfio doctor tells what to do about it\n");
  else {
    const names = readPciNames(view.files);
    const style = styleOf(options.color);
    print(
      groups
        .flatMap((group) => groupLines(group, view, names, style))
        .map((line) => `${line}\n`)
        .join(""),
    );
  }
  return wanted.length > 0 && groups.some(({ viable }) => !viable) ? exitCode.found : exitCode.ok;
}

function groupOf({ files, groups }: HostState, text: string): number {
  const { bdf, iommuGroup } = findDevice(files, text);
  if (iommuGroup === undefined || groups.every(({ id }) => id !== iommuGroup))
    throw new CliError(`${bdf}: it is in no IOMMU group; bun-vfio doctor ${bdf} tells what to do about it`);
  return iommuGroup;
}

const orNull = (facts: object): Record<string, unknown> =>
  Object.fromEntries(Object.entries(facts).map(([key, value]) => [key, value ?? null]));

function groupJson(group: IommuGroup, { uses }: HostState): unknown {
  const { id, domain, noiommu, members, viable, reserved } = group;
  return {
    id,
    domain: domain ?? null,
    noiommu,
    viable,
    state: groupState(group, uses),
    reason: groupReason(group),
    members: members.map(({ name, driver, state }) => ({ name, driver: driver ?? null, state })),
    reserved: reserved.map(({ start, end, kind }) => ({ start: hex(start), end: hex(end), kind })),
  };
}

/** What a member does to its group, in words. */
export const memberWords: Readonly<Record<GroupMember["state"], string>> = {
  vfio: "fine",
  stub: "fine",
  unbound: "fine, without a driver",
  bridge: "fine, a bridge",
  blocks: "blocks",
};

function groupLines(group: IommuGroup, { uses }: HostState, names: PciNames, style: Style): string[] {
  const { id, domain, members, noiommu } = group;
  const state = groupState(group, uses);
  const verdict = markOf({ state, reason: noiommu ? "without an IOMMU" : "" }, style)(verdictWords[state]);
  const lines = [
    `${style.bold(`Group ${id}`)}${domain === undefined ? "" : oneLine(` (${domain})`)}: ${verdict}, ${oneLine(groupReason(group))}`,
  ];
  for (const [index, { name, driver, state, pci }] of members.entries()) {
    const last = index === members.length - 1;
    const title = pci && [classText(pci), idsText(pci), deviceName(pci, names)].filter(Boolean).join(" ");
    const text = [name, title, driver === undefined ? undefined : `[${driver}]`].filter(Boolean).join(" ");
    const mark = state === "blocks" ? style.bad : same;
    lines.push(`${last ? "└─" : "├─"} ${oneLine(text)}: ${mark(memberWords[state])}`);
    for (const use of pci?.bridge ? [] : (uses.get(name) ?? []))
      lines.push(style.dim(`${last ? " " : "│"}     ${oneLine(use.text)}`));
  }
  return lines;
}
const same = (text: string): string => text;
