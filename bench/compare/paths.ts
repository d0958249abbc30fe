// The paths that are compared: what a guest does often, and what a VMM does for each device.
import { Guest, type SeamCounts } from "./guest.ts";
import type { Library } from "./library.ts";

/** One path, ready to be taken. */
export interface Path {
  /** @param i counts up with each call */
  readonly act: (i: number) => unknown;
  /** Calls at the seam so far; none for what has no device. */
  readonly counts?: SeamCounts;
  /** A path that takes long is taken less often. */
  readonly slow?: boolean;
}

type Prepare = (library: Library, counted: boolean) => Path;

const guestPath =
  (prepare: (guest: Guest) => (i: number) => unknown): Prepare =>
  (library, counted) => {
    const guest = new Guest(library, "nvme", counted).decode();
    return { act: prepare(guest), counts: guest.counts };
  };

const attachPath =
  (name: string): Prepare =>
  (library, counted) => {
    const counts: SeamCounts = { reads: 0, writes: 0, others: 0 };
    const act = (): void => {
      const guest = new Guest(library, name, counted);
      for (const key of ["reads", "writes", "others"] as const) counts[key] += guest.counts[key];
      guest.device[Symbol.dispose]();
    };
    return { act, counts, slow: true };
  };

/** Vector control is the last dword of an entry. */
const entry = (table: number, vector: number, dword: number): number => table + 16 * vector + 4 * dword;
const dword = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

const instances = 64;
const stride = 16;
const memory = (): DataView => new DataView(new ArrayBuffer(instances * stride));

/** By name, in the order of the table. */
export const paths: Readonly<Record<string, Prepare>> = {
  "config read, emulated": guestPath(
    ({ device }) =>
      (i) =>
        device.configRead((i & 3) << 2, 2),
  ),
  "config read, of the device": guestPath((guest) => {
    const status = guest.capability("pcie") + 0x0a;
    return () => guest.device.configRead(status, 2);
  }),
  "config write, read-only": guestPath(
    ({ device }) =>
      (i) =>
        device.configWrite(0x2c, 2, i & 0xffff),
  ),
  "config write, to the device": guestPath((guest) => {
    const control = guest.capability("pcie") + 0x08;
    return (i) => guest.device.configWrite(control, 2, 0x2000 | (i & 0xf));
  }),
  "BAR read, trapped": guestPath(({ device, bar }) => {
    const data = dword(0);
    return () => device.mmioRead(bar, data);
  }),
  "BAR write, trapped": guestPath(({ device, bar }) => {
    const data = dword(0);
    return () => device.mmioWrite(bar + 0x0c, data);
  }),
  "MSI-X table write, off": guestPath((guest) => {
    const table = guest.table();
    const data = dword(0);
    return (i) => {
      data[1] = i;
      return guest.device.mmioWrite(entry(table, i & 31, 2), data);
    };
  }),
  "MSI-X table write, on, masked": guestPath((guest) => {
    const table = guest.table();
    const data = dword(0);
    guest.enableMsix();
    return (i) => {
      data[1] = i;
      return guest.device.mmioWrite(entry(table, i & 31, 2), data);
    };
  }),
  "MSI-X table write, mask and unmask": guestPath((guest) => {
    const table = guest.table();
    const [masked, unmasked] = [dword(1), dword(0)];
    guest.enableMsix();
    for (let vector = 0; vector < 32; vector++)
      guest.device.mmioWrite(entry(table, vector, 0), dword(0xfee0_0000));
    return (i) => guest.device.mmioWrite(entry(table, (i >> 1) & 31, 3), i & 1 ? masked : unmasked);
  }),
  "MSI-X table read": guestPath((guest) => {
    const table = guest.table();
    const data = dword(0);
    return (i) => guest.device.mmioRead(entry(table, i & 31, 2), data);
  }),
  "attach and detach nvme": attachPath("nvme"),
  "attach and detach virtio-net": attachPath("virtio-net"),
  "attach and detach edu": attachPath("edu"),
  "attach and detach igb": attachPath("igb"),
  "register get": ({ regs }) => {
    const bytes = memory();
    const views = Array.from({ length: instances }, (_, i) => regs.msixTableEntry.view(bytes, stride * i));
    return { act: (i) => views[i & (instances - 1)]!.data };
  },
  "register set": ({ regs }) => {
    const bytes = memory();
    const views = Array.from({ length: instances }, (_, i) => regs.msixTableEntry.view(bytes, stride * i));
    return { act: (i) => (views[i & (instances - 1)]!.data = i & 0xffff) };
  },
  "register field get": ({ regs }) => {
    const bytes = memory();
    const views = Array.from({ length: instances }, (_, i) => regs.msixCapability.view(bytes, stride * i));
    return { act: (i) => views[i & (instances - 1)]!.controlTableSize };
  },
};

/** The recorded guests whose config accesses are replayed. */
export const traces = [
  "ahci",
  "e1000e",
  "edu",
  "igb",
  "nvme",
  "pci-testdev",
  "virtio-blk",
  "virtio-net",
  "xhci",
] as const;
