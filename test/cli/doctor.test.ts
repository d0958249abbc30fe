import { expect, setDefaultTimeout, test } from "bun:test";
import { hostChecks, memlockCheck, sizeText } from "../../src/cli/doctor-host.ts";
import { readHostState } from "../../src/cli/host.ts";
import { Sysroot } from "../../src/device/host/sysroot.ts";
import { Machine } from "../support/host-machine.ts";
import { bunVfio, temporary, type Run } from "./run.ts";

// Each test starts the command several times.
setDefaultTimeout(60_000);

const nvme = "0000:02:00.0";
const doctor = (machine: Machine, ...args: string[]): Run =>
  bunVfio(["doctor", ...args], { env: { BUN_VFIO_ROOT: machine.root } });
const lines = (machine: Machine, ...args: string[]): string[] => doctor(machine, ...args).out.split("\n");
/** The line that begins with a sign and holds a text. */
const line = (machine: Machine, text: string, ...args: string[]): string | undefined =>
  lines(machine, ...args).find((one) => one.includes(text));

function unlimited(machine: Machine): void {
  machine.put("/proc/self/limits", "Max locked memory         unlimited   unlimited    bytes     ");
}

test("a device that is ready, by its own node: no fix, exit code 0", () => {
  using machine = new Machine();
  unlimited(machine);
  machine.bind(nvme, "vfio-pci");
  machine.put(`${machine.folder(nvme)}/vfio-dev/vfio3/dev`, "511:3");
  machine.put("/dev/vfio/devices/vfio3", "");
  expect(doctor(machine, "2:0.0")).toEqual({
    code: 0,
    err: "",
    out: `✓ an IOMMU is on: intel, 14 groups, IOVAs of 48 bits
✓ interrupts are remapped
✓ vfio-pci is loaded
✓ vfio_iommu_type1 and iommufd are loaded
✓ /dev/vfio/vfio and /dev/iommu can be opened
✓ locked memory is not limited
✓ group 12 has this device alone
✓ 0000:02:00.0 is bound to vfio-pci
✓ /dev/vfio/12 and /dev/vfio/devices/vfio3 can be opened
✓ no process that can be seen has it open
✓ it has a node of its own, /dev/vfio/devices/vfio3
✓ it can be reset by flr, bus
– no token is needed: it is no virtual function
Verdict: ready: nothing is missing
`,
  });
});

test("a group that others block, a device that the host uses", () => {
  using machine = new Machine();
  unlimited(machine);
  expect(line(machine, "group 10", "00:1f.3")).toBe(
    "✗ group 10 is held by the host, with 0000:00:1f.2 (ahci); fix: bun-vfio bind --group 0000:00:1f.3",
  );
  expect(line(machine, "group 10", "00:1f.2")).toBe("✓ none of the 2 others of group 10 stands in the way");
  expect(line(machine, "is bound to", "2:0.0")).toBe(
    "✗ 0000:02:00.0 is bound to nvme; fix: bun-vfio bind 0000:02:00.0",
  );
  machine.block(nvme, "nvme/nvme0/nvme0n1", "259:0");
  machine.put("/proc/self/mountinfo", "22 1 259:0 / / rw - ext4 /dev/nvme0n1 rw");
  expect(line(machine, "is bound to", "2:0.0")).toBe(
    "✗ 0000:02:00.0 is bound to nvme, and the host uses it: nvme0n1 is mounted at /; fix: unmount it first, then bun-vfio bind 0000:02:00.0",
  );
  expect(doctor(machine, "2:0.0").code).toBe(1);
  // ACS is told of only where the group goes beyond one slot.
  machine.join("0000:09:00.0", 10);
  expect(line(machine, "group 10", "00:1f.3")).toEndWith("; a slot below a bridge with ACS would part them");
});

test("a bridge has nothing to check, and no advice that bind would refuse", () => {
  using machine = new Machine();
  unlimited(machine);
  for (const [bdf, message, fix] of [
    ["0000:00:02.0", "is a bridge, which stays with the host", "pass through the devices behind it"],
    ["0000:00:1f.0", "is a bridge of the host, which relies on it", "pass through another device"],
  ] as const) {
    const all = lines(machine, bdf);
    expect(all[0]).toBe(`✗ ${bdf} ${message}; fix: ${fix}`);
    expect(all.slice(-2)).toEqual([`Verdict: not ready: ${bdf} ${message}`, ""]);
    expect(all).toHaveLength(9);
  }
});

test("interrupts that are not remapped", () => {
  using machine = new Machine();
  machine.put("/proc/interrupts", " 24: 0 PCI-MSI-0000:00:01.0  0-edge  x");
  expect(line(machine, "interrupts")).toEndWith(
    "take intremap=off or nox2apic off the kernel's command line",
  );
  for (const name of ["dmar0", "dmar1"]) machine.put(`/sys/class/iommu/${name}/intel-iommu/ecap`, "0");
  expect(line(machine, "interrupts")).toStartWith("✗ ");
  expect(line(machine, "interrupts")).toContain("allow_unsafe_interrupts=1");
  machine.put("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y");
  expect(line(machine, "interrupts")).toStartWith("– ");
  machine.put("/proc/interrupts", "");
  machine.put("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N");
  expect(line(machine, "interrupts")).toStartWith("– whether interrupts are remapped cannot be told");
});

test("modules and nodes that are not there", () => {
  using machine = new Machine();
  for (const path of [
    "/sys/module/vfio_pci",
    "/sys/bus/pci/drivers/vfio-pci",
    "/sys/module/vfio_iommu_type1",
    "/sys/module/iommufd",
    "/dev/iommu",
    "/dev/vfio/vfio",
  ])
    machine.remove(path);
  machine.put(
    "/lib/modules/6.12.95/modules.dep",
    "a/vfio-pci.ko.xz: a/vfio.ko.xz\na/vfio_iommu_type1.ko.xz:",
  );
  unlimited(machine);
  expect(lines(machine).filter((one) => one.includes("✗"))).toEqual([
    "✗ vfio-pci is not loaded; fix: modprobe vfio-pci",
    "  ✗ neither vfio_iommu_type1 nor iommufd is loaded",
    "  ✗ there is neither /dev/vfio/vfio nor /dev/iommu",
  ]);
  machine.bind(nvme, "mlx5_vfio_pci");
  expect(line(machine, "in place of", nvme)).toBe("✓ mlx5_vfio_pci is loaded in place of vfio-pci");
  // As /dev/vfio/vfio is not there either.
  expect(line(machine, "no node in /dev/vfio", nvme)).toStartWith("  ✗ ");
});

test("nodes that this user may not open", () => {
  using machine = new Machine();
  class Closed extends Sysroot {
    readonly closed: readonly string[];
    constructor(closed: readonly string[]) {
      super(machine.root);
      this.closed = closed;
    }
    override mayUse(path: string): boolean {
      return !this.closed.includes(path);
    }
  }
  const found = (...closed: string[]) =>
    hostChecks(readHostState(new Closed(closed)))
      .filter(({ name }) => name === "permissions")
      .map(({ status, message }) => `${status} ${message}`);
  expect(found("/dev/iommu")).toEqual([
    "ok /dev/vfio/vfio can be opened",
    "note /dev/iommu is not for this user",
  ]);
  expect(found("/dev/iommu", "/dev/vfio/vfio")).toEqual([
    "missing /dev/vfio/vfio and /dev/iommu cannot be opened by this user",
  ]);
});

test("locked memory against the guest's and the BARs", () => {
  using machine = new Machine();
  const limit = (soft: number | undefined, hard: number | undefined, bars = 0): string => {
    const { host } = readHostState(machine.files);
    const { status, message, fix } = memlockCheck(
      { ...host, memlock: { soft, hard, ignored: false } },
      2 ** 32,
      bars,
    );
    return [status, message, fix].filter(Boolean).join(" | ");
  };
  expect(limit(2 ** 32, 2 ** 32)).toBe("ok | 4 GiB may be locked, enough for 4 GiB of guest memory");
  expect(limit(2 ** 32, undefined, 4096)).toBe(
    "missing | 4 GiB may be locked, and 4 GiB of guest memory and 4 KiB of BARs have to be | ulimit -l 4194308",
  );
  expect(limit(2 ** 23, 2 ** 23)).toContain("LimitMEMLOCK=");
  expect(limit(undefined, undefined)).toBe("ok | locked memory is not limited");
  expect(line(machine, "may be locked", "--memory", "4M")).toStartWith("✓ 8 MiB may be locked");
  expect(line(machine, "may be locked", nvme, "--memory", "8M")).toContain("and 16 KiB of BARs");
  expect(doctor(machine, "--memory", "much")).toEqual({
    code: 2,
    out: "",
    err: 'bun-vfio: --memory: "much" is no size; give one as 512M or 4G\n',
  });
  expect([2 ** 30 * 1.5, 1024].map(sizeText)).toEqual(["1.5 GiB", "1 KiB"]);
});

test("a device that is open, cannot be reset, or needs a token", () => {
  using machine = new Machine();
  machine.bind(nvme, "vfio-pci");
  machine.put("/proc/41/comm", "qemu");
  machine.open(41, 7, "/dev/vfio/12");
  expect(line(machine, "it is open", nvme)).toStartWith("✗ it is open: qemu (process 41) has /dev/vfio/12");
  machine.put(`${machine.folder(nvme)}/reset_method`, "");
  expect(line(machine, "reset", nvme)).toStartWith("– it cannot be reset by itself");
  expect(line(machine, "reset", nvme)).toEndWith(
    "; fix: a hot reset of its bus does it, together with all that is on it",
  );
  expect(line(machine, "reset", "00:1f.3")).toEndWith("; nor can its bus, which is a root bus");
  machine.put(`${machine.folder(nvme)}/reset_method`, "bus");
  expect(line(machine, "reset", nvme)).toStartWith("– it can be reset by its bus alone");
  expect(line(machine, "node of its own", nvme)).toStartWith("– it has no node of its own");
  expect(line(machine, "token", "4:10.0")).toBe("✓ no token is needed: 0000:04:00.0 is bound to igb");
  machine.bind("0000:04:00.0", "vfio-pci");
  expect(line(machine, "token", "4:10.0")).toStartWith(
    "– 0000:04:10.0 needs a VF token, because 0000:04:00.0 is bound to vfio-pci; fix: ",
  );
  expect(line(machine, "token", "4:0.0")).toStartWith("– its virtual functions");
});

test("a device that VFIO has without an IOMMU, by its own node: said in doctor and ls, and not as good", () => {
  using machine = new Machine();
  machine.unlink(`${machine.folder(nvme)}/iommu_group`);
  machine.put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
  machine.bind(nvme, "vfio-pci");
  machine.put(`${machine.folder(nvme)}/vfio-dev/noiommu-vfio0/dev`, "511:0");
  machine.put("/dev/vfio/devices/noiommu-vfio0", "");
  expect(line(machine, "has no IOMMU", nvme)).toBe(
    '– 0000:02:00.0 has no IOMMU, and can read and write all of memory; it is opened with api "noiommu" alone',
  );
  expect(line(machine, "node of its own", nvme)).toBe(
    "– it has a node of its own, /dev/vfio/devices/noiommu-vfio0, without an IOMMU",
  );
  const listed = bunVfio(["ls"], { env: { BUN_VFIO_ROOT: machine.root } }).out.split("\n");
  expect(listed.find((one) => one.startsWith(nvme))).toMatch(
    / {2}ready +- +vfio-pci +noiommu-vfio0 .* {2}without an IOMMU$/,
  );
});

test("--json has the same checks", () => {
  using machine = new Machine();
  const run = doctor(machine, nvme, "--json");
  const { formatVersion, device, ready, verdict, checks } = JSON.parse(run.out) as {
    formatVersion: number;
    device: string;
    ready: boolean;
    verdict: string;
    checks: { name: string; status: string; message: string; fix: string | null; follows: string | null }[];
  };
  expect([run.code, formatVersion, device]).toEqual([1, 1, nvme]);
  expect(checks.map(({ name }) => name)).toEqual([
    "memlock",
    "driver",
    "iommu",
    "interrupt-remapping",
    "vfio-pci",
    "iommu-backend",
    "permissions",
    "group",
    "device-permissions",
    "cdev",
    "reset",
    "vf-token",
  ]);
  expect(checks[1]).toEqual({
    name: "driver",
    status: "missing",
    message: "0000:02:00.0 is bound to nvme",
    fix: "bun-vfio bind 0000:02:00.0",
    follows: null,
  });
  expect(checks[2]!.fix).toBeNull();
  expect([ready, verdict]).toEqual([
    false,
    expect.stringMatching(/^not ready: 8 MiB may be .*; 1 more to do$/),
  ]);
});

test("on the host as it is: every check is there, whatever it finds", () => {
  using folder = temporary();
  const { code, out, err } = bunVfio(["doctor"], { cwd: folder.path });
  expect(err).toBe("");
  expect(code).toBe(out.includes("✗") ? 1 : 0);
  expect(
    out
      .trimEnd()
      .split("\n")
      .filter((one) => !/^(?:[✓✗–]| {2}✗|Verdict:) \S/.test(one)),
  ).toEqual([]);
  expect(bunVfio(["ls"]).code).toBe(0);
});
