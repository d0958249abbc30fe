import type { Sysroot } from "./sysroot.ts";

/** A process that has a device node open. */
export interface NodeHolder {
  /** Its process ID. */
  readonly pid: number;
  /** Its command, cut as the kernel cuts it. */
  readonly name: string;
  /** As `/dev/vfio/14`. */
  readonly node: string;
}

/**
 * The processes that have one of the nodes open, of those that this process may look at; root sees all.
 * @param except a descriptor of this process that does not count
 */
export function nodeHolders(files: Sysroot, nodes: readonly string[], except?: number): NodeHolder[] {
  if (nodes.length === 0) return [];
  const wanted = new Set(nodes);
  return files
    .list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const pid = Number(name);
      const descriptors = files
        .list(`/proc/${name}/fd`)
        .filter((fd) => pid !== process.pid || Number(fd) !== except);
      const open = new Set(descriptors.map((fd) => files.target(`/proc/${name}/fd/${fd}`)));
      return [...open].flatMap((node) =>
        node !== undefined && wanted.has(node)
          ? [{ pid, name: files.text(`/proc/${name}/comm`) ?? "unknown", node }]
          : [],
      );
    });
}
