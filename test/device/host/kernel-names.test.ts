import { expect, setDefaultTimeout, test } from "bun:test";
import { functionsNamed, readKernelNames } from "../../../src/device/host/kernel-names.ts";
import { Machine } from "../../support/host-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const [nvme, other, nic, ahci, edu] = [
  "0000:02:00.0",
  "0000:01:00.0",
  "0000:03:00.0",
  "0000:09:00.0",
  "0000:01:00.0",
] as const;

/** A device of a class that is no disk, below a function. */
function controller(machine: Machine, bdf: string, kind: string, name: string): string {
  const folder = `${machine.folder(bdf)}/${kind}/${name}`;
  machine.put(`${folder}/uevent`, "");
  machine.link(`/sys/class/${kind}/${name}`, folder);
  return folder;
}

test("interfaces and disks, without partitions, of the function itself and not of the ports above", () => {
  using machine = new Machine();
  machine.network(nic, "eth0");
  machine.block(ahci, "ata1/host0/target0:0:0/0:0:0:0/block/sda", "8:0");
  machine.put("/sys/class/block/sda/device/model", "WDC WD40EFRX  ");
  machine.block(ahci, "ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1", "8:1");
  machine.put("/sys/class/block/sda1/partition", "1");
  const names = readKernelNames(machine.files);
  expect(Object.fromEntries(names)).toEqual({
    [nic]: { names: ["eth0"], models: [] },
    [ahci]: { names: ["sda"], models: ["WDC WD40EFRX"] },
  });
});

test("a controller where it has no disk or interface that is told", () => {
  using machine = new Machine();
  machine.put(`${controller(machine, nvme, "nvme", "nvme0")}/model`, "Samsung SSD 980");
  for (const name of ["card0", "card0-HDMI-A-1", "renderD128"]) controller(machine, edu, "drm", name);
  expect(Object.fromEntries(readKernelNames(machine.files))).toEqual({
    [nvme]: { names: ["nvme0"], models: ["Samsung SSD 980"] },
    [edu]: { names: ["card0"], models: [] },
  });
  machine.block(nvme, "nvme/nvme0/nvme0n1", "259:0");
  expect(readKernelNames(machine.files).get(nvme)?.names).toEqual(["nvme0n1"]);
});

test("a namespace that two controllers reach is of both", () => {
  using machine = new Machine();
  const subsystem = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0";
  machine.put(`${subsystem}/nvme0n1/dev`, "259:0");
  machine.link("/sys/class/block/nvme0n1", `${subsystem}/nvme0n1`);
  machine.link("/sys/class/nvme-subsystem/nvme-subsys0", subsystem);
  for (const [name, bdf] of [
    ["nvme0", nvme],
    ["nvme1", other],
  ] as const)
    machine.link(`${subsystem}/${name}`, controller(machine, bdf, "nvme", name));
  expect(functionsNamed(machine.files, "nvme0n1")).toEqual([nvme, other]);
  expect(functionsNamed(machine.files, "nvme1")).toEqual([other]);
});

test("a name leads nowhere else", () => {
  using machine = new Machine();
  machine.network(nic, "eth0");
  machine.put("/sys/class/net/bond0", "");
  for (const text of [
    "",
    ".",
    "..",
    "../net/eth0",
    "eth0/..",
    "bond0",
    "/dev/eth0",
    "/dev/../sys",
    "a".repeat(99),
  ])
    expect([text, functionsNamed(machine.files, text)]).toEqual([text, []]);
  expect(functionsNamed(machine.files, "eth0")).toEqual([nic]);
});
