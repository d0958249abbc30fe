// What the kernel calls the parts of a PCI function: eth0, nvme0n1, and what a disk says that it is.
import { blockPaths, functionsOn } from "./function-of.ts";
import type { Sysroot } from "./sysroot.ts";

/** Names of a function's parts; none of it where VFIO or nobody drives it. */
export interface KernelNames {
  /** Interfaces and disks, as `eth0` and `nvme0n1`; without these a controller, as `nvme0`, `mlx5_0`, `card0`. */
  readonly names: readonly string[];
  /** Of its disks, as `Samsung SSD 980 1TB`. */
  readonly models: readonly string[];
}

/** Classes of sysfs whose devices are interfaces and disks, and those of controllers, the more telling ones first. */
const parts = ["net", "block"] as const;
const controllers = ["nvme", "infiniband", "drm"] as const;
const maxNames = 64;

/** Where a device of a class hangs in sysfs. */
const pathsOf = (files: Sysroot, kind: string, name: string): string[] =>
  kind === "block" ? blockPaths(files, name) : [files.resolve(`/sys/class/${kind}/${name}`) ?? ""];

/** The functions that a device of a class is of, without the bridges above. */
const ownersOf = (files: Sysroot, kind: string, name: string): string[] => [
  ...new Set(pathsOf(files, kind, name).flatMap((path) => functionsOn(path).at(-1) ?? [])),
];

/** What the kernel calls the parts of every function that has some, by BDF. */
export function readKernelNames(files: Sysroot): Map<string, KernelNames> {
  const found = new Map<string, { names: string[]; models: string[] }>();
  const add = (kind: string, name: string, model?: string): void => {
    for (const bdf of ownersOf(files, kind, name)) {
      const known = found.get(bdf) ?? { names: [], models: [] };
      found.set(bdf, known);
      if (known.names.length < maxNames) known.names.push(name);
      if (model !== undefined && model !== "" && !known.models.includes(model)) known.models.push(model);
    }
  };
  for (const kind of parts)
    for (const name of files.list(`/sys/class/${kind}`))
      if (kind === "net") add(kind, name);
      else if (!files.exists(`/sys/class/block/${name}/partition`))
        add(kind, name, files.text(`/sys/class/block/${name}/device/model`));
  const named = new Set(found.keys());
  for (const kind of controllers)
    for (const name of files.list(`/sys/class/${kind}`))
      // `card0-HDMI-A-1` is a connector, `renderD128` another way to the same.
      if (!/^render|-/.test(name) && ownersOf(files, kind, name).every((bdf) => !named.has(bdf)))
        add(kind, name, files.text(`/sys/class/${kind}/${name}/model`));
  return found;
}

/**
 * The functions that a name of the kernel stands for: an interface, a disk or its partition, a controller, or a path of
 * /dev that leads to one. Several for a disk that several controllers reach; none for any other text.
 */
export function functionsNamed(files: Sysroot, text: string): string[] {
  const name = text.startsWith("/dev/") ? files.resolve(text)?.slice("/dev/".length) : text;
  if (name === undefined || !/^[\w.-]{1,64}$/.test(name) || /^\.+$/.test(name)) return [];
  for (const kind of [...parts, ...controllers]) {
    const owners = ownersOf(files, kind, name);
    if (owners.length > 0) return owners;
  }
  return [];
}
