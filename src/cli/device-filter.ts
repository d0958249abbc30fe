// Which devices a person means who lists some of them.
import { hexDigits } from "../regs/hex-text.ts";
import { functionsNamed, type KernelNames } from "../device/host/kernel-names.ts";
import type { PciDevice } from "../device/host/pci-device.ts";
import type { PciNames } from "../device/host/pci-names.ts";
import { CliError } from "./failure.ts";
import { devicesOf, idsText, looksLikeBdf, type HostState } from "./host.ts";

/** What a device is called, by the kernel and by the PCI ID database. */
export interface Named {
  readonly device: PciDevice;
  readonly kernel: KernelNames | undefined;
}

const noNames: KernelNames = { names: [], models: [] };
const plain = (text: string): string => text.toLowerCase().replaceAll("_", "-");

/** Class codes, as `01`, `0108` or `010802`. */
const ofClass = ({ classCode }: PciDevice, word: string): boolean =>
  /^(?:[0-9a-f]{2}){1,3}$/i.test(word) &&
  classCode !== undefined &&
  hexDigits(classCode, 6).startsWith(word.toLowerCase());

const ofIds = (device: PciDevice, word: string): boolean => {
  const wanted = word.toLowerCase().split(":");
  return idsText(device)
    .split(":")
    .every((id, at) => wanted[at] === "" || wanted[at]!.padStart(4, "0") === id);
};

function matches(
  { device, kernel = noNames }: Named,
  word: string,
  { class: classes, vendor, device: devices }: PciNames,
): boolean {
  if (/^[0-9a-f]{0,4}:[0-9a-f]{0,4}$/i.test(word) && word !== ":") return ofIds(device, word);
  if (ofClass(device, word)) return true;
  const { classCode = 0, vendorId = 0, deviceId = 0, driver } = device;
  const exact = [driver, ...kernel.names].some((name) => name !== undefined && plain(name) === plain(word));
  const names = [
    classes.get(classCode >>> 8),
    vendor.get(vendorId),
    devices.get(vendorId * 0x10000 + deviceId),
    ...kernel.models,
  ];
  return exact || names.some((name) => name?.toLowerCase().includes(word.toLowerCase()));
}

/**
 * The devices that at least one word stands for: a BDF, `vendor:device` (or one of the two), a class code, a driver, a
 * name of the kernel's, or a part of a name of the database or of a disk's model. All without a word.
 * @throws CliError for a word that stands for none
 */
export function chosenDevices(
  { files, devices, names }: HostState,
  words: readonly string[],
  known: PciNames,
): PciDevice[] {
  if (words.length === 0) return [...devices];
  const chosen = new Set<string>();
  for (const word of words) {
    const found = looksLikeBdf(word)
      ? devicesOf(files, word).map(({ bdf }) => bdf)
      : [
          ...functionsNamed(files, word),
          ...devices
            .filter((device) => matches({ device, kernel: names.get(device.bdf) }, word, known))
            .map(({ bdf }) => bdf),
        ];
    if (found.length === 0)
      throw new CliError(
        `${JSON.stringify(word.slice(0, 80))}: no device of this host; bun-vfio ls lists all`,
      );
    for (const bdf of found) chosen.add(bdf);
  }
  return devices.filter(({ bdf }) => chosen.has(bdf));
}
