// Whether this machine and its kernel are among those that are served.
import type { HostInfo } from "../device/host/host-info.ts";
import { missing, note, type Check } from "./doctor-check.ts";

const name = "system";
/** As the kernel calls them. */
const served = ["x86_64", "aarch64"];
/** The oldest kernel that the tests run on. */
const oldest = [6, 1] as const;

/** What keeps an architecture from being served, besides that nobody has made it. */
function traitOf(architecture: string): string {
  if (/^(?:i[3-6]86|arm(?:v[4-8]\w*)?|mips|ppc|sparc|riscv32|loongarch32)$/.test(architecture))
    return ", of 32 bits";
  return /^(?:aarch64_be|armv\d+b|s390x?|ppc64|mips64|sparc64|parisc(?:64)?|m68k)$/.test(architecture)
    ? ", which is big-endian"
    : "";
}

/** Nothing where all is well. @param platform as Node.js names it */
export function systemChecks(
  { architecture, kernel }: HostInfo,
  platform: string = process.platform,
): Check[] {
  if (platform !== "linux")
    return [missing(name, `this is ${platform}, and VFIO is Linux's`, "use a machine with Linux")];
  if (architecture !== undefined && !served.includes(architecture))
    return [
      missing(
        name,
        `this machine is ${architecture}${traitOf(architecture)}: x86-64 and aarch64 alone are served`,
        "use a machine of one of these, with a kernel of 64 bits",
      ),
    ];
  const [, major = NaN, minor = NaN] = (/^Linux (\d+)\.(\d+)/.exec(kernel ?? "") ?? []).map(Number);
  const isOlder = major < oldest[0] || (major === oldest[0] && minor < oldest[1]);
  return isOlder
    ? [note(name, `${kernel} is older than any that the tests run on: from Linux ${oldest.join(".")} on`)]
    : [];
}
