import type { Sysroot } from "./sysroot.ts";
import { blockPaths, functionsOn } from "./function-of.ts";

/** Why the host would miss a device: each a clause such as `nvme0n1p2 is mounted at /`. */
export interface InUse {
  /** By what. */
  readonly kind: "mounted" | "swap" | "held" | "network";
  /** In words, as `nvme0n1 is mounted at /`. */
  readonly text: string;
}

const blocks = "/sys/class/block";
const interfaces = "/sys/class/net";

/**
 * What the host does with the block devices and network interfaces of its PCI functions, by BDF: of a function, and
 * of each bridge above it.
 */
export function readInUse(files: Sysroot): Map<string, InUse[]> {
  const uses = new Map<string, InUse[]>();
  const add = (owners: Iterable<string>, found: readonly InUse[]): void => {
    if (found.length === 0) return;
    for (const bdf of owners) uses.set(bdf, [...(uses.get(bdf) ?? []), ...found]);
  };
  const storage = new Storage(files);
  for (const name of files.list(blocks))
    add(new Set(blockPaths(files, name).flatMap(functionsOn)), storage.usesOf(name));
  const network = readNetwork(files);
  for (const name of files.list(interfaces)) {
    const owners = functionsOn(files.resolve(`${interfaces}/${name}`));
    if (owners.length > 0) add(owners, interfaceUses(files, name, network));
  }
  return uses;
}

const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));

class Storage {
  readonly #files: Sysroot;
  /** Where it is mounted, by `major:minor` and by source. */
  readonly #mounts = new Map<string, string>();
  readonly #swaps: ReadonlySet<string>;
  readonly #btrfs: ReadonlySet<string>;

  constructor(files: Sysroot) {
    this.#files = files;
    // This process may see other mounts than the host's first one.
    for (const table of ["/proc/1/mountinfo", "/proc/self/mountinfo"])
      for (const line of files.lines(table)) {
        // ID, parent, major:minor, root, mount point, ..., "-", type, source (proc(5)).
        const [, , device, , point] = line.split(" ");
        const source = line.split(" - ")[1]?.split(" ")[1];
        if (point === undefined) continue;
        for (const key of [device, source])
          if (key !== undefined && !this.#mounts.has(unescaped(key)))
            this.#mounts.set(unescaped(key), unescaped(point));
      }
    this.#swaps = new Set(files.lines("/proc/swaps").map((line) => unescaped(line.split(/\s/)[0]!)));
    const pools = files.list("/sys/fs/btrfs");
    this.#btrfs = new Set(pools.flatMap((pool) => files.list(`/sys/fs/btrfs/${pool}/devices`)));
  }

  usesOf(name: string): InUse[] {
    const folder = `${blocks}/${name}`;
    const mapped = this.#files.text(`${folder}/dm/name`);
    const number = this.#files.text(`${folder}/dev`);
    const paths = [`/dev/${name.replaceAll("!", "/")}`, ...(mapped ? [`/dev/mapper/${mapped}`] : [])];
    const point = [...(number ? [number] : []), ...paths].flatMap((key) => this.#mounts.get(key) ?? [])[0];
    const uses: InUse[] = [];
    if (point !== undefined) uses.push({ kind: "mounted", text: `${name} is mounted at ${point}` });
    else if (this.#btrfs.has(name))
      uses.push({ kind: "mounted", text: `${name} is a part of a mounted btrfs` });
    if (paths.some((path) => this.#swaps.has(path)))
      uses.push({ kind: "swap", text: `${name} is swap space` });
    return [...uses, ...this.#holders(name)];
  }

  /** Volumes, arrays and caches made of it, at any height. */
  #holders(name: string): InUse[] {
    const seen = new Set<string>();
    const next = [name];
    for (let one = next.pop(); one !== undefined; one = next.pop())
      for (const holder of this.#files.list(`${blocks}/${one}/holders`))
        if (!seen.has(holder)) {
          seen.add(holder);
          next.push(holder);
        }
    return [...seen].map((holder) => {
      const folder = `${blocks}/${holder}`;
      const mapped = this.#files.text(`${folder}/dm/name`);
      const number = this.#files.text(`${folder}/dev`);
      const point = number === undefined ? undefined : this.#mounts.get(number);
      const swap = [`/dev/${holder}`, `/dev/mapper/${mapped}`].some((path) => this.#swaps.has(path));
      const what = mapped === undefined ? holder : `${holder} (${mapped})`;
      const where = point === undefined ? (swap ? ", swap space" : "") : `, mounted at ${point}`;
      return { kind: "held", text: `${name} is held by ${what}${where}` };
    });
  }
}

interface Network {
  /** Interfaces with a default route. */
  readonly defaults: ReadonlySet<string>;
  /** Interfaces with a route, or an address that is valid beyond its link. */
  readonly addressed: ReadonlySet<string>;
}

function readNetwork(files: Sysroot): Network {
  const defaults = new Set<string>();
  const addressed = new Set<string>();
  // Interface, destination, gateway, ...; the first line has the titles.
  for (const line of files.lines("/proc/net/route").slice(1)) {
    const [name = "", destination, , , , , , mask] = line.trim().split(/\s+/);
    addressed.add(name);
    if (destination === "00000000" && mask === "00000000") defaults.add(name);
  }
  // Destination, prefix, source, prefix, next hop, metric, references, use, flags, interface.
  for (const line of files.lines("/proc/net/ipv6_route")) {
    const [destination = "", prefix, , , hop] = line.trim().split(/\s+/);
    const name = line.trim().split(/\s+/).at(-1)!;
    if (/^0+$/.test(destination) && prefix === "00" && !/^0*$/.test(hop ?? "")) defaults.add(name);
  }
  // Address, index, prefix, scope, flags, interface; scope 20 is the link's (include/net/ipv6.h).
  for (const line of files.lines("/proc/net/if_inet6")) {
    const [, , , scope, , name] = line.trim().split(/\s+/);
    if (name !== undefined && scope !== "20") addressed.add(name);
  }
  return { defaults, addressed };
}

/** IFF_UP (linux/if.h). */
const up = 1;

/** An interface is missed if it is up and routed, or a bond, bridge or VLAN upon it is. */
function interfaceUses(files: Sysroot, name: string, network: Network): InUse[] {
  const seen = new Set<string>([name]);
  const next = [name];
  const uses: InUse[] = [];
  for (let one = next.pop(); one !== undefined; one = next.pop()) {
    const what = one === name ? name : `${name} is a part of ${one}, which`;
    if (Number(files.text(`${interfaces}/${one}/flags`) ?? 0) & up) {
      if (network.defaults.has(one))
        uses.push({ kind: "network", text: `${what} carries the default route` });
      else if (network.addressed.has(one))
        uses.push({ kind: "network", text: `${what} is up with an address` });
    }
    for (const entry of files.list(`${interfaces}/${one}`)) {
      const upper = /^upper_(.+)$/.exec(entry)?.[1];
      if (upper !== undefined && !seen.has(upper)) {
        seen.add(upper);
        next.push(upper);
      }
    }
  }
  return uses;
}
