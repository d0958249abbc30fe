// A host's /sys, /proc and /dev in a temporary directory, as the machine of test/data had them: lspci's dump of
// each function, its resources, its driver, and its IOMMU group.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { Sysroot } from "../../src/device/host/sysroot.ts";
import type { WriteAttribute } from "../../src/device/host/binding.ts";
import { VfioError } from "../../src/ffi/errors.ts";

const data = join(import.meta.dir, "../data");

/** BDF without its domain, IOMMU group, and the driver that the host binds by itself. */
const functions: readonly (readonly [bdf: string, group: number, driver?: string])[] = [
  ["00:00.0", 0],
  ["00:02.0", 1, "pcieport"],
  ["00:02.1", 2, "pcieport"],
  ["00:02.2", 3, "pcieport"],
  ["00:02.3", 4, "pcieport"],
  ["00:03.0", 9, "pcieport"],
  ["00:1f.0", 10],
  ["00:1f.2", 10, "ahci"],
  ["00:1f.3", 10],
  ["01:00.0", 11],
  ["02:00.0", 12, "nvme"],
  ["03:00.0", 13, "e1000e"],
  ["04:00.0", 14, "igb"],
  ["04:10.0", 20, "igbvf"],
  ["04:10.2", 21, "igbvf"],
  ["09:00.0", 19, "ahci"],
];
/** The root port above each bus. */
const ports: Readonly<Record<string, string>> = {
  "01": "00:02.0",
  "02": "00:02.1",
  "03": "00:02.2",
  "04": "00:02.3",
  "09": "00:03.0",
};
const hostDrivers: Readonly<Record<string, string>> = Object.fromEntries(
  functions.flatMap(([bdf, , driver]) => (driver === undefined ? [] : [[`0000:${bdf}`, driver]])),
);

export class Machine implements Disposable {
  readonly root = mkdtempSync(join(tmpdir(), "bun-vfio-host-"));
  readonly files = new Sysroot(this.root);
  /** Every write that `write` was asked for, as `echo VALUE > PATH`. */
  readonly written: string[] = [];
  /** Makes the write fail whose line holds this text. */
  failing: string | undefined;
  /** Functions that a driver's probe refuses, by BDF. */
  readonly refused = new Set<string>();

  constructor() {
    for (const driver of ["vfio-pci", "pci-stub", ...Object.values(hostDrivers)])
      for (const attribute of ["bind", "unbind", "new_id"])
        this.put(`/sys/bus/pci/drivers/${driver}/${attribute}`, "");
    this.put("/sys/bus/pci/drivers_probe", "");
    for (const [bdf, group] of functions) this.#add(`0000:${bdf}`, group);
    for (const [index, vf] of ["0000:04:10.0", "0000:04:10.2"].entries()) {
      this.link(`${this.folder("0000:04:00.0")}/virtfn${index}`, this.folder(vf));
      this.link(`${this.folder(vf)}/physfn`, this.folder("0000:04:00.0"));
    }
    this.put(`${this.folder("0000:04:00.0")}/sriov_totalvfs`, "7");
    for (const name of ["dmar0", "dmar1"]) {
      this.put(`/sys/devices/virtual/iommu/${name}/intel-iommu/cap`, "d2008c222f0686");
      this.put(`/sys/devices/virtual/iommu/${name}/intel-iommu/ecap`, "f00f5e");
      this.link(`/sys/class/iommu/${name}`, `/sys/devices/virtual/iommu/${name}`);
    }
    for (const module of ["vfio", "vfio_pci", "vfio_iommu_type1", "iommufd"])
      mkdirSync(this.at(`/sys/module/${module}/parameters`), { recursive: true });
    this.put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "N");
    this.put("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N");
    this.put("/dev/vfio/vfio", "");
    this.put("/dev/iommu", "");
    this.put("/proc/sys/kernel/osrelease", "6.12.95");
    this.put("/proc/cmdline", "root=/dev/nvme0n1p1 intel_iommu=on");
    this.put("/proc/interrupts", "            CPU0\n  24:  10  IR-PCI-MSI-0000:00:02.0    0-edge  PCIe PME");
    this.put("/proc/self/status", "Name:\tbun\nCapEff:\t0000000000000000");
    this.put(
      "/proc/self/limits",
      "Limit                     Soft Limit           Hard Limit           Units\nMax locked memory         8388608              8388608              bytes",
    );
    this.put("/proc/swaps", "Filename  Type  Size  Used  Priority");
    this.put("/proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT");
    this.put(
      "/usr/share/misc/pci.ids",
      "# names\n1b36  Red Hat, Inc.\n\t0010  QEMU NVM Express Controller\n\t\t1af4 1100  QEMU\n8086  Intel Corporation\n\nC 01  Mass storage controller\n\t08  Non-Volatile memory controller\n\t\t02  NVM Express\n",
    );
  }

  /** Where a path of the host lies. */
  at(path: string): string {
    return join(this.root, path);
  }
  put(path: string, content: string | Uint8Array): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), typeof content === "string" ? `${content}\n` : content);
  }
  /** A relative link, as sysfs has them. */
  link(path: string, target: string): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    symlinkSync(relative(dirname(path), target), this.at(path));
  }
  unlink(path: string): void {
    unlinkSync(this.at(path));
  }
  /** With all that is in it. */
  remove(path: string): void {
    rmSync(this.at(path), { recursive: true });
  }
  /** An open file of a process. */
  open(pid: number, fd: number, path: string): void {
    mkdirSync(this.at(`/proc/${pid}/fd`), { recursive: true });
    symlinkSync(path, this.at(`/proc/${pid}/fd/${fd}`));
  }
  /** Where a function sits below its bridges. */
  folder(bdf: string): string {
    const port = ports[bdf.slice(5, 7)];
    return `/sys/devices/pci0000:00/${port === undefined ? "" : `0000:${port}/`}${bdf}`;
  }

  #add(bdf: string, group: number): void {
    const folder = this.folder(bdf);
    const config = readFileSync(join(data, "config", `${bdf}.bin`));
    const hex = (offset: number, size: number): string =>
      `0x${config
        .readUIntLE(offset, size)
        .toString(16)
        .padStart(size * 2, "0")}`;
    const virtual = bdf.startsWith("0000:04:10");
    this.put(`${folder}/config`, config);
    // A virtual function's own read all ones.
    this.put(`${folder}/vendor`, virtual ? "0x8086" : hex(0, 2));
    this.put(`${folder}/device`, virtual ? "0x10ca" : hex(2, 2));
    this.put(`${folder}/class`, hex(9, 3));
    this.put(`${folder}/revision`, hex(8, 1));
    this.put(`${folder}/subsystem_vendor`, hex(0x2c, 2));
    this.put(`${folder}/subsystem_device`, hex(0x2e, 2));
    this.put(`${folder}/numa_node`, "-1");
    this.put(`${folder}/driver_override`, "(null)");
    this.put(`${folder}/reset_method`, bdf.startsWith("0000:00") ? "" : "flr bus");
    this.put(`${folder}/modalias`, `pci:v0000${hex(0, 2).slice(2)}`);
    const resource = join(data, "recordings", `${bdf}.resource`);
    if (existsSync(resource)) copyFileSync(resource, this.at(`${folder}/resource`));
    else
      this.put(
        `${folder}/resource`,
        Array(13)
          .fill(`0x${"0".repeat(16)} `.repeat(3).trim())
          .join("\n"),
      );
    this.link(`/sys/bus/pci/devices/${bdf}`, folder);
    this.join(bdf, group);
    this.put(`/sys/kernel/iommu_groups/${group}/type`, "DMA-FQ");
    this.put(
      `/sys/kernel/iommu_groups/${group}/reserved_regions`,
      "0x00000000fee00000 0x00000000feefffff msi",
    );
    const driver = hostDrivers[bdf];
    if (driver !== undefined) this.bind(bdf, driver);
  }

  /** Puts a function into an IOMMU group, out of the one that it was in. */
  join(bdf: string, group: number): void {
    const folder = this.folder(bdf);
    const old = this.files.linkName(`${folder}/iommu_group`);
    if (old !== undefined) {
      this.unlink(`/sys/kernel/iommu_groups/${old}/devices/${bdf}`);
      this.unlink(`${folder}/iommu_group`);
    }
    this.link(`${folder}/iommu_group`, `/sys/kernel/iommu_groups/${group}`);
    this.link(`/sys/kernel/iommu_groups/${group}/devices/${bdf}`, folder);
  }

  /** Binds a function as the kernel would; `undefined` for no driver. */
  bind(bdf: string, driver: string | undefined): void {
    const folder = this.folder(bdf);
    rmSync(this.at(`${folder}/driver`), { force: true });
    const node = this.at(`/dev/vfio/${this.files.linkName(`${folder}/iommu_group`)}`);
    if (driver === "vfio-pci") writeFileSync(node, "");
    else if (existsSync(node)) unlinkSync(node);
    if (driver !== undefined) this.link(`${folder}/driver`, `/sys/bus/pci/drivers/${driver}`);
  }

  /** A block device below a function. @param inside the way to it below the function */
  block(bdf: string, inside: string, number: string): void {
    const folder = `${this.folder(bdf)}/${inside}`;
    this.put(`${folder}/dev`, number);
    this.link(`/sys/class/block/${folder.split("/").at(-1)}`, folder);
  }
  network(bdf: string, name: string, flags = "0x1003"): void {
    const folder = `${this.folder(bdf)}/net/${name}`;
    this.put(`${folder}/flags`, flags);
    this.link(`/sys/class/net/${name}`, folder);
  }

  /** What the kernel does with a write to sysfs (drivers/base/bus.c). */
  readonly write: WriteAttribute = ({ path, value }, bdf) => {
    const line = `echo ${value} > ${path}`;
    this.written.push(line);
    if (this.failing !== undefined && line.includes(this.failing))
      throw new VfioError(`${bdf}: cannot write ${path}`, { code: "EIO", device: bdf });
    const attribute = path.split("/").at(-1)!;
    const folder = this.folder(bdf);
    if (attribute === "driver_override")
      this.put(`${folder}/driver_override`, value === "" ? "(null)" : value);
    else if (attribute === "unbind") this.bind(value, undefined);
    else if (this.refused.has(value)) return;
    else if (attribute === "bind") this.bind(value, path.split("/").at(-2));
    else {
      const override = this.files.text(`${folder}/driver_override`);
      this.bind(value, override === "(null)" ? hostDrivers[value] : override);
    }
  };

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
