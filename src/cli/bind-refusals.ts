import type { HostFiles } from "../device/host/host-files.ts";
import { readHost } from "../device/host/host-info.ts";
import { readHostUse } from "../device/host/host-use.ts";
import { nodeHolders } from "../device/host/node-holders.ts";
import { deviceNodes } from "../device/host/vfio-nodes.ts";
import { isHostPart, type PciDevice } from "../device/host/pci-device.ts";
import { CliError } from "./failure.ts";

/**
 * Why functions had better stay with the host, each by its BDF and with what would make it free.
 * @throws CliError for a bridge, which vfio-pci never takes
 */
export function bindRefusals(files: HostFiles, devices: readonly PciDevice[]): string[] {
  const uses = readHostUse(files);
  const { noiommu } = readHost(files);
  return devices.flatMap((device) => {
    const { bdf, bridge, bootVga, virtualFunctions, iommuGroup } = device;
    if (bridge)
      throw new CliError(`${bdf}: it is a bridge, and stays with the host; bind the devices behind it`);
    const reasons = (uses.get(bdf) ?? []).map(({ kind, text }) => `${text}; ${remedies[kind]}`);
    if (isHostPart(device)) reasons.push("it is a bridge of the host, which relies on it");
    if (bootVga) reasons.push("the firmware's console is on it, and would go dark");
    if (virtualFunctions.length > 0)
      reasons.push(
        `virtual functions of it are on (${virtualFunctions.length}), and would go; write 0 to its sriov_numvfs first`,
      );
    if (iommuGroup === undefined && !noiommu)
      reasons.push(`no IOMMU stands before it, and vfio-pci would not take it; see bun-vfio doctor ${bdf}`);
    return reasons.map((reason) => `${bdf}: ${reason}`);
  });
}

const remedies = {
  mounted: "unmount it first",
  swap: "turn it off with swapoff first",
  held: "take that apart first",
  network: "take the interface down first",
} as const;

/** A driver's `unbind` waits, maybe for ever, until the last process has closed the device. */
export function unbindRefusals(files: HostFiles, devices: readonly PciDevice[]): string[] {
  return devices.flatMap((device) => {
    const holders = device.vfio ? nodeHolders(files, deviceNodes(files, device.bdf)) : [];
    if (holders.length === 0) return [];
    const names = holders.map(({ name, pid }) => `${name} (process ${pid})`);
    return [`${device.bdf}: it is open in ${[...new Set(names)].join(", ")}; end them first`];
  });
}
