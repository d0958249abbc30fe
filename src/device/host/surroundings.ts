// What this host runs in: a container, a virtual machine, a kernel that is locked down.
import type { Sysroot } from "./sysroot.ts";

/** Each is undefined where there is nothing of the kind, or it does not show. */
export interface Surroundings {
  /** As `docker`, `podman`, `lxc`: nodes and modules are the host's to give. */
  readonly container: string | undefined;
  /** The virtual machine that this is, as its firmware calls it: `QEMU Standard PC (Q35 + ICH9, 2009)`. */
  readonly hypervisor: string | undefined;
  /** Root may not change the kernel: no unsigned modules, no config space through sysfs. */
  readonly lockdown: "integrity" | "confidentiality" | undefined;
}

/** Looks at marks that containers, firmware and the kernel leave. */
export const readSurroundings = (files: Sysroot): Surroundings => ({
  container: containerOf(files),
  hypervisor: hypervisorOf(files),
  lockdown: lockdownOf(files),
});

/** Text of a file as one word that may be shown. */
const word = (text: string | undefined): string | undefined =>
  text === undefined || text === "" ? undefined : text.slice(0, 80);

function containerOf(files: Sysroot): string | undefined {
  const manager = word(files.text("/run/systemd/container"));
  if (manager !== undefined) return manager;
  if (files.exists("/run/.containerenv")) return "podman";
  if (files.exists("/.dockerenv")) return "docker";
  const of = /^container=(\S+)/m.exec((files.text("/proc/1/environ", 65536) ?? "").replaceAll("\0", "\n"));
  if (of) return word(of[1]);
  return /\/(docker|kubepods|lxc)[/.-]/.exec(files.text("/proc/1/cgroup") ?? "")?.[1];
}

function hypervisorOf(files: Sysroot): string | undefined {
  const xen = files.text("/sys/hypervisor/type");
  const flags = files.lines("/proc/cpuinfo", 65536).find((line) => /^flags\s*:/.test(line));
  if (xen === undefined && !(flags !== undefined && / hypervisor(?: |$)/.test(flags))) return undefined;
  const named = ["sys_vendor", "product_name"].flatMap(
    (name) => word(files.text(`/sys/class/dmi/id/${name}`)) ?? [],
  );
  return named.length > 0 ? named.join(" ") : (word(xen) ?? "some hypervisor");
}

/** `none [integrity] confidentiality`: the one in brackets holds. */
function lockdownOf(files: Sysroot): Surroundings["lockdown"] {
  const mode = /\[(\w+)\]/.exec(files.text("/sys/kernel/security/lockdown") ?? "")?.[1];
  return mode === "integrity" || mode === "confidentiality" ? mode : undefined;
}
