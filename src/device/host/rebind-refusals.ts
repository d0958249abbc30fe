// Why a function had better keep its driver: what the host would miss, what would wait, and what cannot work.
import type { Rebinding, WantedBinding } from "./binding.ts";
import { isVfioDriver } from "./device-folder.ts";
import type { Sysroot } from "./sysroot.ts";
import { readHostInfo } from "./host-info.ts";
import { readInUse, type InUse } from "./in-use.ts";
import { readGroup } from "./iommu-group.ts";
import { nodeHolders } from "./node-holders.ts";
import { isHostPart, readPciDevice, type PciDevice } from "./pci-device.ts";
import { deviceNodes } from "./vfio-nodes.ts";

/** Why a function's driver should not change. `reason` and `remedy` are clauses for people, without the BDF. */
export interface RebindRefusal {
  /** In full, as `0000:01:00.0`. */
  readonly bdf: string;
  /**
   * - `in-use`: the host would miss the function
   * - `open`: a process has it open, and the driver's `unbind` waits, maybe for ever, until that closes it
   * - `no-iommu`: no IOMMU stands before it, so vfio-pci does not take it
   * - `bridge`: no VFIO driver takes it, whatever is said
   */
  readonly kind: "in-use" | "open" | "no-iommu" | "bridge";
  /** In words, a part of a sentence. */
  readonly reason: string;
  /** What would make it free. */
  readonly remedy: string | undefined;
}

const remedies: Readonly<Record<InUse["kind"], string>> = {
  mounted: "unmount it first",
  swap: "turn it off with swapoff first",
  held: "take that apart first",
  network: "take the interface down first",
};

const goesToVfio = ({ driver }: WantedBinding): boolean => typeof driver === "string" && isVfioDriver(driver);
/** Whether what is wanted is a driver that keeps the host from the function: VFIO's, pci-stub, pci-pf-stub. */
const keepsFromHost = (wanted: WantedBinding): boolean =>
  goesToVfio(wanted) || /(?:^|[-_])stub$/.test(wanted.driver ?? "");

/**
 * Why functions should not get other drivers, or lose those that they have; empty where nothing speaks against it. A
 * change of `driver_override` alone takes nothing away, nor does giving a function a driver of the host.
 * @param rebindings all that happen together: a bridge may lose a driver that blocks a group which goes to VFIO
 */
export function rebindRefusals(files: Sysroot, rebindings: readonly Rebinding[]): RebindRefusal[] {
  const changes = rebindings.filter(({ now, wanted }) => (now.driver ?? null) !== wanted.driver);
  if (changes.length === 0) return [];
  const uses = readInUse(files);
  const { noiommu } = readHostInfo(files);
  return changes.flatMap(({ now, wanted }) => {
    const device = readPciDevice(files, now.bdf);
    if (!device) return [];
    const taken = now.driver !== undefined;
    const kept = keepsFromHost(wanted);
    const found: RebindRefusal[] = [];
    const refuse = (kind: RebindRefusal["kind"], reason: string, remedy?: string): void =>
      void found.push({ bdf: device.bdf, kind, reason, remedy });

    if (device.bridge) {
      const reason = "it is a bridge, and stays with the host";
      if (goesToVfio(wanted)) refuse("bridge", reason, "bind the devices behind it");
      else if (taken && !blocksVfio(files, device, rebindings)) refuse("in-use", reason);
      return found;
    }
    if (!device.vfio && (taken || kept)) {
      for (const { kind, text } of uses.get(device.bdf) ?? []) refuse("in-use", text, remedies[kind]);
      if (isHostPart(device)) refuse("in-use", "it is a bridge of the host, which relies on it");
      if (device.bootVga) refuse("in-use", "the firmware's console is on it, and would go dark");
    }
    if (device.virtualFunctions.length > 0 && (taken || kept))
      refuse(
        "in-use",
        `virtual functions of it are on (${device.virtualFunctions.length}), and would go`,
        "write 0 to its sriov_numvfs first",
      );
    if (goesToVfio(wanted) && device.iommuGroup === undefined && !noiommu)
      refuse(
        "no-iommu",
        "no IOMMU stands before it, and vfio-pci would not take it",
        `see bun-vfio doctor ${device.bdf}`,
      );
    if (taken && device.vfio) {
      const holders = nodeHolders(files, deviceNodes(files, device.bdf));
      const names = new Set(holders.map(({ name, pid }) => `${name} (process ${pid})`));
      if (names.size > 0) refuse("open", `it is open in ${[...names].join(", ")}`, "end them first");
    }
    return found;
  });
}

/** Whether a bridge's driver keeps a group from user space of which a member has a VFIO driver, or gets one. */
function blocksVfio(
  files: Sysroot,
  { bdf, iommuGroup }: PciDevice,
  rebindings: readonly Rebinding[],
): boolean {
  const members = (iommuGroup === undefined ? undefined : readGroup(files, iommuGroup)?.members) ?? [];
  const going = new Set(rebindings.filter(({ wanted }) => goesToVfio(wanted)).map(({ now }) => now.bdf));
  return (
    members.some(({ name, state }) => name === bdf && state === "blocks") &&
    members.some(({ name, state }) => state === "vfio" || going.has(name))
  );
}
