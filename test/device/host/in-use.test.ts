import { expect, setDefaultTimeout, test } from "bun:test";
import { readInUse } from "../../../src/device/host/in-use.ts";
import { Machine } from "../../support/host-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const nvme = "0000:02:00.0";
const nic = "0000:03:00.0";
const texts = (machine: Machine, bdf: string): string[] =>
  (readInUse(machine.files).get(bdf) ?? []).map(({ text }) => text);

/** A disk with two partitions. */
function disk(machine: Machine): void {
  machine.block(nvme, "nvme/nvme0/nvme0n1", "259:0");
  machine.block(nvme, "nvme/nvme0/nvme0n1/nvme0n1p1", "259:1");
  machine.block(nvme, "nvme/nvme0/nvme0n1/nvme0n1p2", "259:2");
}

test("a disk that nobody uses, and an interface that is down", () => {
  using machine = new Machine();
  disk(machine);
  machine.network(nic, "eth0", "0x1002");
  machine.put("/proc/net/route", "Iface Destination\neth0 00000000 0100A8C0 0003 0 0 0 00000000 0 0 0");
  expect(readInUse(machine.files).size).toBe(0);
});

test("a mount by its number, by its source, and in the namespace of the first process", () => {
  using machine = new Machine();
  disk(machine);
  machine.put("/proc/self/mountinfo", "22 1 259:1 / /my\\040data rw shared:1 - ext4 /dev/root rw");
  expect(texts(machine, nvme)).toEqual(["nvme0n1p1 is mounted at /my data"]);
  machine.put("/proc/self/mountinfo", "22 1 0:33 /sub / rw - btrfs /dev/nvme0n1p2 rw");
  expect(texts(machine, nvme)).toEqual(["nvme0n1p2 is mounted at /"]);
  machine.put("/proc/1/mountinfo", "22 1 259:1 / /boot rw - ext4 /dev/nvme0n1p1 rw");
  expect(texts(machine, nvme)).toEqual(["nvme0n1p1 is mounted at /boot", "nvme0n1p2 is mounted at /"]);
  // The bridge above it would take it along.
  expect(texts(machine, "0000:00:02.1")).toHaveLength(2);
  expect(texts(machine, nic)).toEqual([]);
});

test("swap space, and a btrfs of several disks", () => {
  using machine = new Machine();
  disk(machine);
  machine.put("/proc/swaps", "Filename Type Size Used Priority\n/dev/nvme0n1p1 partition 1 0 -2");
  machine.put("/sys/fs/btrfs/0000-1111/devices/nvme0n1p2/size", "1");
  expect(texts(machine, nvme)).toEqual(["nvme0n1p1 is swap space", "nvme0n1p2 is a part of a mounted btrfs"]);
});

test("volumes and arrays upon it, at any height, even in a circle", () => {
  using machine = new Machine();
  disk(machine);
  machine.put(
    "/sys/devices/pci0000:00/0000:00:02.1/0000:02:00.0/nvme/nvme0/nvme0n1/nvme0n1p2/holders/md0",
    "",
  );
  for (const [name, number] of [
    ["md0", "9:0"],
    ["dm-0", "253:0"],
  ] as const) {
    machine.put(`/sys/devices/virtual/block/${name}/dev`, number);
    machine.link(`/sys/class/block/${name}`, `/sys/devices/virtual/block/${name}`);
  }
  machine.put("/sys/devices/virtual/block/md0/holders/dm-0", "");
  machine.put("/sys/devices/virtual/block/dm-0/holders/md0", "");
  machine.put("/sys/devices/virtual/block/dm-0/dm/name", "vg-root");
  expect(texts(machine, nvme)).toEqual(["nvme0n1p2 is held by md0", "nvme0n1p2 is held by dm-0 (vg-root)"]);
  machine.put("/proc/self/mountinfo", "22 1 253:0 / / rw - xfs /dev/mapper/vg-root rw");
  expect(texts(machine, nvme)[1]).toBe("nvme0n1p2 is held by dm-0 (vg-root), mounted at /");
});

test("a namespace that hangs below its subsystem belongs to every controller of it", () => {
  using machine = new Machine();
  const subsystem = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0";
  machine.put(`${subsystem}/nvme0n1/dev`, "259:0");
  machine.link("/sys/class/block/nvme0n1", `${subsystem}/nvme0n1`);
  machine.put(`${machine.folder(nvme)}/nvme/nvme0/state`, "live");
  machine.link(`${subsystem}/nvme0`, `${machine.folder(nvme)}/nvme/nvme0`);
  machine.link("/sys/class/nvme-subsystem/nvme-subsys0", subsystem);
  machine.put("/proc/self/mountinfo", "22 1 259:0 / / rw - ext4 /dev/nvme0n1 rw");
  expect(texts(machine, nvme)).toEqual(["nvme0n1 is mounted at /"]);
});

test("an interface that is up with a route, an address, or neither", () => {
  using machine = new Machine();
  machine.network(nic, "eth0");
  expect(texts(machine, nic)).toEqual([]);
  machine.put("/proc/net/if_inet6", "fe80000000000000505400fffe123456 02 40 20 80     eth0");
  expect(texts(machine, nic)).toEqual([]);
  machine.put("/proc/net/if_inet6", "20010db8000000000000000000000001 02 40 00 80     eth0");
  expect(texts(machine, nic)).toEqual(["eth0 is up with an address"]);
  machine.put(
    "/proc/net/route",
    "Iface Destination\neth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
  );
  expect(texts(machine, nic)).toEqual(["eth0 is up with an address"]);
  const zeros = "0".repeat(32);
  machine.put(
    "/proc/net/ipv6_route",
    `${zeros} 00 ${zeros} 00 fe800000000000000000000000000001 00000400 1 0 00000003     eth0`,
  );
  expect(texts(machine, nic)).toEqual(["eth0 carries the default route"]);
});

test("a bridge upon a bond upon it carries the default route", () => {
  using machine = new Machine();
  machine.network(nic, "eth0");
  for (const [name, upper] of [
    ["bond0", "br0"],
    ["br0", "bond0"],
  ] as const) {
    machine.put(`/sys/devices/virtual/net/${name}/flags`, "0x1003");
    machine.put(`/sys/devices/virtual/net/${name}/upper_${upper}`, "");
    machine.link(`/sys/class/net/${name}`, `/sys/devices/virtual/net/${name}`);
  }
  machine.put(`${machine.folder(nic)}/net/eth0/upper_bond0`, "");
  machine.put("/proc/net/route", "Iface Destination\nbr0 00000000 0100A8C0 0003 0 0 0 00000000 0 0 0");
  expect(texts(machine, nic)).toEqual(["eth0 is a part of br0, which carries the default route"]);
});
