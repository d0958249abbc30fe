// Debian's QEMU in the virtual machine, to compare with: what the machine itself runs on, shared with it.
import { mkdirSync, readdirSync } from "node:fs";
import { commandLine, kernel } from "./nested-linux.ts";

const system = "/run/system";

/** Mounts the programs of the machine, once. @throws Error where it does not share them */
function mountSystem(): void {
  mkdirSync(system, { recursive: true });
  if (readdirSync(system).length > 0) return;
  const options = "trans=virtio,version=9p2000.L,msize=512000,ro,cache=loose";
  const { exitCode, stderr } = Bun.spawnSync(["mount", "-t", "9p", "-o", options, "system", system]);
  if (exitCode !== 0) throw new Error(`the machine's programs are not shared with it: ${stderr.toString()}`);
}

/** What boots Debian's kernel under QEMU as `boot` does under the example. @param device words of its `-device`, or none */
export function peerCommand(initrd: string, cpus: number, ...device: readonly string[]): string[] {
  mountSystem();
  const libraries = ["lib", "usr/lib"].map((path) => `${system}/${path}/x86_64-linux-gnu`);
  return [
    ...[`${libraries[0]}/ld-linux-x86-64.so.2`, "--library-path", libraries.join(":")],
    `${system}/usr/bin/qemu-system-x86_64`,
    ...["share/qemu", "share/seabios", "lib/ipxe/qemu"].flatMap((path) => ["-L", `${system}/usr/${path}`]),
    ...["-accel", "kvm", "-cpu", "host", "-M", "q35", "-smp", String(cpus), "-m", "256"],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"],
    ...["-kernel", kernel, "-initrd", initrd, "-append", commandLine],
    ...device.flatMap((words) => ["-device", words]),
  ];
}
