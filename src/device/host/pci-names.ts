import type { Sysroot } from "./sysroot.ts";

/** Names from the PCI ID database, where the host has one. */
export interface PciNames {
  readonly vendor: ReadonlyMap<number, string>;
  /** By `vendor * 0x10000 + device`. */
  readonly device: ReadonlyMap<number, string>;
  /** By base class and subclass: 16 bits. */
  readonly class: ReadonlyMap<number, string>;
}

const databases = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids"];
const maxBytes = 8 * 2 ** 20;

/** Reads the first database that the host has; every map is empty without one. */
export function readPciNames(files: Sysroot): PciNames {
  const vendors = new Map<number, string>();
  const devices = new Map<number, string>();
  const classes = new Map<number, string>();
  const path = databases.find((one) => files.exists(one));
  let base = 0;
  let target: typeof devices | undefined;
  for (const line of path === undefined ? [] : files.lines(path, maxBytes)) {
    // `1b36  Red Hat, Inc.`, below it a tab and `0010  QEMU NVM Express Controller`; classes follow as `C 01  ...`.
    const parts = /^(\t?|C )([0-9a-f]{2}|[0-9a-f]{4}) {2}(.+)$/.exec(line);
    if (!parts) {
      if (!/^[\t#]/.test(line)) target = undefined;
      continue;
    }
    const [, lead, digits = "", name = ""] = parts;
    const id = parseInt(digits, 16);
    if (lead === "\t") target?.set(base * (target === classes ? 0x100 : 0x10000) + id, name);
    else {
      base = id;
      target = lead === "" ? devices : classes;
      if (lead === "") vendors.set(id, name);
    }
  }
  return { vendor: vendors, device: devices, class: classes };
}
