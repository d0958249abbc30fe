// What the matrix of devices, APIs and machines holds: the tests fill its cells on real kernels, and docs/matrix.md shows it.
// `npx bun test/vm/suite/support/matrix.ts > docs/matrix.md` writes the page.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { machines } from "../../machines.ts";
import { machinesOf } from "../../harness/suites.ts";

/** What a device has to show, told by hand: the sizes of its BARs, and of how many vectors each interrupt is raised. */
export interface Shape {
  /** Memory BARs that are mapped, by index. */
  readonly mapped: Readonly<Record<number, number>>;
  /** BARs that cannot be mapped, and why; they are read and written through the kernel. */
  readonly unmapped: Readonly<Record<number, { readonly size: number; readonly why: string }>>;
  readonly vectors: { readonly intx: number; readonly msi: number; readonly msix: number };
}

const ports = "I/O ports";

export const shapes = {
  edu: { mapped: { 0: 0x100000 }, unmapped: {}, vectors: { intx: 1, msi: 1, msix: 0 } },
  nvme: { mapped: { 0: 0x4000 }, unmapped: {}, vectors: { intx: 1, msi: 0, msix: 65 } },
  e1000e: {
    mapped: { 0: 0x20000, 1: 0x20000, 3: 0x4000 },
    unmapped: { 2: { size: 0x20, why: ports } },
    vectors: { intx: 1, msi: 1, msix: 5 },
  },
  igb: {
    mapped: { 0: 0x20000, 1: 0x20000, 3: 0x4000 },
    unmapped: { 2: { size: 0x20, why: ports } },
    vectors: { intx: 1, msi: 1, msix: 10 },
  },
  "igb VF": { mapped: { 0: 0x4000, 3: 0x4000 }, unmapped: {}, vectors: { intx: 0, msi: 0, msix: 3 } },
  "pci-testdev": {
    mapped: { 0: 0x1000, 2: 0x200000 },
    unmapped: { 1: { size: 0x100, why: ports } },
    vectors: { intx: 0, msi: 0, msix: 0 },
  },
  "virtio-net": { mapped: { 1: 0x1000, 4: 0x4000 }, unmapped: {}, vectors: { intx: 1, msi: 0, msix: 4 } },
  "virtio-blk": { mapped: { 1: 0x1000, 4: 0x4000 }, unmapped: {}, vectors: { intx: 1, msi: 0, msix: 3 } },
  xhci: { mapped: { 0: 0x4000 }, unmapped: {}, vectors: { intx: 1, msi: 0, msix: 16 } },
  ahci: {
    mapped: { 5: 0x1000 },
    unmapped: { 4: { size: 0x20, why: ports } },
    vectors: { intx: 1, msi: 1, msix: 0 },
  },
} as const satisfies Record<string, Shape>;
export type Shaped = keyof typeof shapes;

export const apis = ["type1v2", "type1", "iommufd-compat", "iommufd", "noiommu"] as const;
export type Api = (typeof apis)[number];

/** What decides in a machine which APIs there are. */
export interface Has {
  readonly iommu: boolean;
  /** /dev/iommu and the cdevs of devices. */
  readonly iommufd: boolean;
}

const kernels = {
  bookworm: { name: "6.1, Debian 12's own", iommufd: false },
  trixie: { name: "6.12, of Debian 13", iommufd: true },
  "trixie-backports": { name: "7.3, of Debian 13's backports", iommufd: true },
};
const iommuNames = {
  intel: "Intel's VT-d",
  amd: "AMD's AMD-Vi",
  virtio: "virtio-iommu",
  smmuv3: "Arm's SMMUv3",
  none: "none",
};

/** Why there is no such cell: each is proved, too, by the refusal. */
export const refusals = {
  noiommu:
    "Linux opens a device without an IOMMU only where it has none: its group is then another one (drivers/vfio/group.c).",
  others:
    "Without an IOMMU there is nothing that maps: Linux has no group for these, and a cdev from 7.3 on, which is for noiommu.",
  iommufd: "Debian 12's kernel has no iommufd (Linux 6.2), and no cdevs (Linux 6.6).",
};

/** @returns why a device cannot be opened by this API on such a machine; undefined where it can */
export function refusal(api: Api, { iommu, iommufd }: Has): string | undefined {
  if (api.startsWith("iommufd") && !iommufd) return refusals.iommufd;
  if (iommu) return api === "noiommu" ? refusals.noiommu : undefined;
  return api === "noiommu" ? undefined : refusals.others;
}

const hex = (size: number): string => `0x${size.toString(16)}`;

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`);
  return [lines[0], `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...lines.slice(1)].join(
    "\n",
  );
}

const suiteFolder = join(import.meta.dir, "..");

/** What a test file proves, as its own first words have it: the first sentence of the comment below the lines for the harness. */
function claimOf(text: string): string {
  const lines = text.split("\n");
  const words: string[] = [];
  for (const line of lines) {
    if (/^\/\/ (?:machines|takes):/.test(line)) continue;
    if (!line.startsWith("// ")) break;
    words.push(line.slice(3));
  }
  return words
    .join(" ")
    .split(/\. (?=[A-Z])/)[0]!
    .replace(/\.$/, "");
}

/** Each test file with what it proves, and where. */
function proofs(): string {
  const rows = readdirSync(suiteFolder)
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .map((name) => {
      const text = readFileSync(join(suiteFolder, name), "utf8");
      const { quick, all, nightly } = machinesOf(text)!;
      const rest = nightly.length > 0 ? `; at night ${nightly.join(", ")}` : "";
      return [claimOf(text), `\`${name}\``, `${[...quick, ...all].join(", ")}${rest}`.replace(/^; /, "")];
    });
  return table([["what is proved", "test/vm/suite/", "machines"], ...rows]);
}

/** All machines, with what the matrix does not show. */
function machineRows(): string {
  const rows = machines.map(
    ({ name, devices, iommu, arch = "x86-64", kernel = "trixie", pages = 4, ...more }) => [
      name,
      kernels[kernel].name,
      `${arch}${pages === 4 ? "" : `, pages of ${pages} KiB`}`,
      iommuNames[iommu],
      list([
        ...(more.modules?.includes("kvm") ? ["KVM, on AMD's virtualization"] : []),
        ...(more.virtualization ? ["KVM, by EL2"] : []),
        ...(more.qemu?.some((word) => word.includes("acpi-pci-hotplug")) ? ["hot-plug by pciehp"] : []),
        ...(more.libc === "musl" ? ["Bun over musl"] : []),
        ...(Object.values(devices).some(({ served }) => served) ? ["devices of vfio-user servers"] : []),
        ...(more.words?.includes("iommu.passthrough=1") ? ["nothing translated"] : []),
      ]),
    ],
  );
  return table([["machine", "Linux", "architecture", "IOMMU", "besides"], ...rows]);
}

const list = (entries: readonly string[]): string => entries.join(", ") || "none";

export function matrixPage(): string {
  const names = Object.keys(shapes) as Shaped[];
  const notes = Object.values(refusals);
  const suite = readFileSync(join(import.meta.dir, "../matrix.test.ts"), "utf8");
  const { quick, all, nightly } = machinesOf(suite)!;
  const inSuite = machines.filter(({ name }) => [...quick, ...all, ...nightly].includes(name));
  const cells = inSuite.map(({ name, iommu, arch = "x86-64", kernel = "trixie", pages = 4 }) => {
    const has = { ...kernels[kernel], iommu: iommu !== "none" };
    const why = apis.map((api) => refusal(api, has));
    return [
      ...[
        name,
        kernels[kernel].name,
        `${arch}${pages === 4 ? "" : `, pages of ${pages} KiB`}`,
        iommuNames[iommu],
      ],
      ...why.map((text) => (text === undefined ? "all" : `(${notes.indexOf(text) + 1})`)),
    ];
  });
  const details = names.map((name) => {
    const { mapped, unmapped, vectors }: Shape = shapes[name];
    return [
      name,
      list(Object.entries(mapped).map(([index, size]) => `${index}: ${hex(size)}`)),
      list(Object.entries(unmapped).map(([index, { size, why }]) => `${index}: ${hex(size)}, ${why}`)),
      ...[vectors.intx, vectors.msi, vectors.msix].map((count) => String(count || "none")),
    ];
  });
  return `# Devices, APIs and IOMMUs that are tested

\`test/vm/suite/matrix.test.ts\` opens every device by every API of Linux in machines of two architectures, with three kernels and
four IOMMUs or none. In each cell the device is opened, described, each BAR is mapped whose memory can be, each interrupt that
it has is enabled and raised, it is reset and closed, and nothing of it is left. This page is made from what that test expects.

${table([["machine", "Linux", "architecture", "IOMMU", ...apis], ...cells])}

"all" is every device of the next table. Debian's suites move: each run tells the kernel's release, and what is expected goes by
what the kernel has.

${notes.map((note, index) => `${index + 1}. ${note} The test asks for each device, and is refused.`).join("\n")}

What a device shows, the same in every cell:

${table([["device", "BARs mapped", "BARs not mapped", "INTx", "MSI", "MSI-X vectors"], ...details])}

A device has no entry where it has no such BAR or interrupt: a virtual function has no INTx by the PCI specification, edu,
nvme, xhci and the virtio devices have only one of MSI and MSI-X in QEMU, and pci-testdev has no interrupt at all. Besides
these, each device's request interrupt is raised, with which the kernel asks for the device back.

## What else is proved, and where

Each claim with the test that proves it on real kernels, and the machines that it runs on with \`--all\`, as on each change; what is
marked so runs with \`--nightly\`. What needs no kernel is proved by \`npm test\`.

${proofs()}

The machines:

${machineRows()}
`;
}

if (import.meta.main) process.stdout.write(matrixPage());
