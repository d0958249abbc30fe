// A host made of files: sysfs, /dev and /proc as far as opening a device looks at them.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Sysroot } from "../../../../src/device/host/sysroot.ts";

export interface FakeDevice {
  readonly driver?: string | undefined;
  /** Number of the group, and whether VFIO made it up. */
  readonly group?: number | undefined;
  readonly noiommu?: boolean | undefined;
  /** As `vfio0`; its node is there only with `cdev`. */
  readonly vfioDev?: string | undefined;
  readonly physicalFunction?: string | undefined;
  readonly classCode?: string | undefined;
  readonly resetMethod?: string | undefined;
}

export interface FakeHost extends Disposable {
  readonly files: Sysroot;
  device(bdf: string, device: FakeDevice): void;
  /** A node in /dev, by its path there: `vfio/12`. */
  node(name: string): string;
  /** A process that has these open. */
  process(pid: number, command: string, ...open: string[]): void;
  /** A file below sysfs. */
  file(path: string, text: string): void;
}

export function fakeHost(): FakeHost {
  const root = mkdtempSync(join(tmpdir(), "bun-vfio-host-"));
  const files = new Sysroot(root);
  const sys = files.at("/sys");
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  };
  const link = (path: string, target: string): void => {
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path);
  };
  write(join(sys, "bus/pci/drivers/vfio-pci/bind"), "");
  return {
    files,
    device(bdf, { driver, group, noiommu, vfioDev, physicalFunction, classCode = "0x010802", resetMethod }) {
      const folder = join(sys, "bus/pci/devices", bdf);
      write(join(folder, "class"), `${classCode}\n`);
      if (driver !== undefined) link(join(folder, "driver"), `../../../bus/pci/drivers/${driver}`);
      if (physicalFunction !== undefined) link(join(folder, "physfn"), `../${physicalFunction}`);
      if (resetMethod !== undefined) write(join(folder, "reset_method"), `${resetMethod}\n`);
      if (vfioDev !== undefined) write(join(folder, "vfio-dev", vfioDev, "dev"), "511:0\n");
      if (group === undefined) return;
      link(join(folder, "iommu_group"), `../../../kernel/iommu_groups/${group}`);
      link(join(sys, "kernel/iommu_groups", String(group), "devices", bdf), folder);
      if (noiommu) write(join(sys, "kernel/iommu_groups", String(group), "name"), "vfio-noiommu\n");
    },
    node(name) {
      write(files.at(`/dev/${name}`), "");
      return `/dev/${name}`;
    },
    process(pid, command, ...open) {
      write(join(root, "proc", String(pid), "comm"), `${command}\n`);
      for (const [fd, path] of open.entries()) link(join(root, "proc", String(pid), "fd", String(fd)), path);
    },
    file: (path, text) => write(join(sys, path), text),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}
