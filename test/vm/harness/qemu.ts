// A machine's description as a command line of QEMU.
import { join } from "node:path";
import type { Device, Machine } from "../machines.ts";
import { boardOf } from "./boards.ts";
import { argumentsOf, wordsOf } from "./iommus.ts";
import type { Prepared } from "./prepare.ts";

/** Folders and settings of one start. */
export interface Start {
  /** Shared with the guest as /src/node_modules, read-only; undefined where the tree has none. */
  readonly packages: string | undefined;
  /** Shared with the guest as /out, and where disks and logs are. */
  readonly out: string;
  /** A person is at the console: a shell in place of the tests. */
  readonly shell: boolean;
}

/** The descriptor at which QEMU has its end of the monitor's socket, where no person is at the console. */
export const monitorFd = 3;

/** Backing file of a device's disk. */
export const diskOf = (out: string, name: string): string => join(out, `disk-${name}.img`);

/** Where a vfio-user server has a device. */
export const socketOf = (out: string, name: string): string => join(out, `${name}.sock`);

/** The program: Debian's QEMU with the libraries that were unpacked with it, whatever this system has. */
function program(tools: string, name: string): string[] {
  const firmware = ["qemu", "seabios"].flatMap((folder) => ["-L", join(tools, "usr/share", folder)]);
  return [
    // It does not outlive the one who started it, however that ends.
    ...["setpriv", "--pdeathsig", "KILL", "--"],
    join(tools, "usr/lib64/ld-linux-x86-64.so.2"),
    ...["--library-path", join(tools, "usr/lib/x86_64-linux-gnu")],
    join(tools, "usr/bin", name),
    ...firmware,
    ...["-L", join(tools, "usr/lib/ipxe/qemu")],
  ];
}

const share = (tag: string, path: string, address: string, readOnly: boolean): string[] => [
  ...["-fsdev", `local,id=${tag},path=${path},security_model=none${readOnly ? ",readonly=on" : ""}`],
  ...["-device", `virtio-9p-pci,fsdev=${tag},mount_tag=${tag},addr=${address}`],
];

/** What follows -device; of a served device JSON. @param index of the device among those of its machine */
export const deviceArgument = (name: string, of: Device, index: number, out: string): string =>
  of.served
    ? JSON.stringify({
        ...{ driver: "vfio-user-pci", id: name, bus: `port${index + 1}` },
        socket: { type: "unix", path: socketOf(out, name) },
      })
    : plainArgument(name, of, index);
const plainArgument = (name: string, { device, disk, network }: Device, index: number): string =>
  `${device},id=${name},bus=port${index + 1}${disk ? `,drive=disk-${name}` : ""}${network ? `,netdev=net-${name}` : ""}`;

function deviceOnPort(name: string, device: Device, index: number, out: string): string[] {
  // Eight ports a slot; function 0 of each has to be there for the others to be found.
  const address = `${(2 + (index >> 3)).toString(16)}.${index & 7}`;
  const number = index + 1;
  return [
    ...[
      "-device",
      `pcie-root-port,id=port${number},chassis=${number},slot=${number},addr=${address},multifunction=on`,
    ],
    // A block device of its own, unlike a -drive, does not go when the device that has it is unplugged.
    ...(device.disk && !device.served
      ? ["-blockdev", `driver=file,filename=${diskOf(out, name)},node-name=disk-${name}`]
      : []),
    ...(device.network ? ["-netdev", `user,id=net-${name},restrict=on`] : []),
    ...["-device", deviceArgument(name, device, index, out)],
  ];
}

/** What `--version` says, for what is there by release. */
export function versionOf(machine: Machine, { tools }: Prepared): string {
  const command = [...program(tools, boardOf(machine).program), "--version"];
  return Bun.spawnSync(command).stdout.toString().split("\n", 1)[0]!;
}

/** What every kernel is told. */
const everywhere = [
  // An oops is a failure, and a panic ends the machine instead of hanging it.
  ...["quiet", "oops=panic", "panic=-1"],
  // As does the interrupt that a machine gets that hangs: its console then says where.
  "unknown_nmi_panic",
  // An emulated CPU has nothing to guard against, and spends a fifth of its time on that.
  ...["mitigations=off", "init_on_alloc=0"],
  // These two test themselves for a second of it.
  "initcall_blacklist=crypto_kdf108_init,jent_mod_init",
];

/** The whole command. The console is its standard output; the guest leaves its status in the file `exit` of its folder. */
export function commandOf(machine: Machine, prepared: Prepared, { packages, out, shell }: Start): string[] {
  const board = boardOf(machine);
  const words = [
    ...board.words,
    ...everywhere,
    ...wordsOf(machine.iommu),
    ...(machine.words ?? []),
    ...(machine.modules?.length ? [`vm.modules=${machine.modules.join(",")}`] : []),
    ...(machine.system && machine.arch === "aarch64" ? ["vm.compiler"] : []),
    ...(shell ? ["vm.shell"] : []),
  ];
  const slots = board.shareAddresses;
  return [
    ...program(prepared.tools, board.program),
    ...board.args,
    ...["-smp", String(machine.cpus ?? 2), "-m", `${machine.memory ?? 2048}M`],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-serial", shell ? "mon:stdio" : "stdio"],
    ...(shell
      ? []
      : ["-chardev", `socket,id=monitor,fd=${monitorFd}`, "-mon", "chardev=monitor,mode=control"]),
    ...["-kernel", prepared.kernel, "-initrd", prepared.initramfs, "-append", words.join(" ")],
    ...argumentsOf(machine.iommu),
    ...share("out", out, slots[0], false),
    ...share("modules", prepared.modules, slots[1], true),
    ...(packages === undefined ? [] : share("node_modules", packages, slots[2], true)),
    ...(machine.system ? share("system", prepared.programs, slots[3], true) : []),
    ...Object.entries(machine.devices).flatMap(([name, device], index) =>
      deviceOnPort(name, device, index, out),
    ),
    ...(machine.qemu ?? []),
  ];
}
