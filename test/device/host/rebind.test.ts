import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rebindRefusals } from "../../../src/device/host/rebind-refusals.ts";
import { rebind } from "../../../src/device/host/rebind.ts";
import {
  readBinding,
  restoreBinding,
  bindTo,
  unbind,
  detachDriver,
  clearOverride,
  type Rebinding,
  type WantedBinding,
  type WriteAttribute,
} from "../../../src/device/host/binding.ts";
import { VfioError } from "../../../src/ffi/errors.ts";
import { refusal } from "../../support/refusal.ts";
import { Machine } from "../../support/host-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const [nvme, ahci, edu] = ["0000:02:00.0", "0000:09:00.0", "0000:01:00.0"] as const;
const to = (machine: Machine, bdf: string, wanted: WantedBinding): Rebinding => ({
  now: readBinding(machine.files, bdf),
  wanted,
});
const all = (machine: Machine): unknown => [nvme, ahci, edu].map((bdf) => readBinding(machine.files, bdf));

test("several functions there and back again", () => {
  using machine = new Machine();
  const before = [nvme, ahci, edu].map((bdf) => readBinding(machine.files, bdf));
  rebind(
    machine.files,
    [nvme, ahci, edu].map((bdf) => to(machine, bdf, bindTo("vfio-pci"))),
    { write: machine.write },
  );
  expect([nvme, ahci, edu].map((bdf) => readBinding(machine.files, bdf))).toEqual(
    [nvme, ahci, edu].map((bdf) => ({ bdf, driver: "vfio-pci", driverOverride: "vfio-pci" })),
  );
  rebind(
    machine.files,
    before.map((one) => to(machine, one.bdf, restoreBinding(one))),
    { write: machine.write },
  );
  expect(all(machine)).toEqual(before);
});

test("whichever write fails, everything is as before", () => {
  using counted = new Machine();
  const wanted = (machine: Machine): Rebinding[] =>
    [nvme, edu, ahci].map((bdf) => to(machine, bdf, bindTo("vfio-pci")));
  rebind(counted.files, wanted(counted), { write: counted.write });
  expect(counted.written.length).toBe(8);
  // One machine serves for all: each time it has to be as it was.
  using machine = new Machine();
  const before = all(machine);
  for (const line of counted.written) {
    let broken = false;
    const error = refusal(() =>
      rebind(machine.files, wanted(machine), {
        write: (write, bdf) => {
          if (!broken && `echo ${write.value} > ${write.path}` === line) {
            broken = true;
            throw new VfioError(`${bdf}: no`, { code: "EIO", device: bdf, hint: "Wait." });
          }
          machine.write(write, bdf);
        },
      }),
    );
    expect(error.message).toMatch(/^0000:0\d:00\.0: no; everything was taken back$/);
    expect(error).toMatchObject({ code: "EIO", hint: "Wait." });
    expect(all(machine)).toEqual(before);
  }
});

test("a driver that refuses is noticed, though no write failed", () => {
  using machine = new Machine();
  const before = all(machine);
  machine.refused.add(ahci);
  const error = refusal(() =>
    rebind(
      machine.files,
      [nvme, ahci].map((bdf) => to(machine, bdf, bindTo("vfio-pci"))),
      { write: machine.write },
    ),
  );
  // Nor does its old driver take it back, here.
  expect(error.message).toBe(
    "0000:09:00.0 has no driver after it should be bound to vfio-pci; could not be taken back: 0000:09:00.0 has no driver after it should be bound to ahci",
  );
  machine.refused.clear();
  machine.bind(ahci, "ahci");
  expect(all(machine)).toEqual(before);
});

test("an undo that fails too keeps the first failure's code, whatever threw it", () => {
  using machine = new Machine();
  const failure = (code: string): Error => Object.assign(new Error("no"), { code });
  for (const first of [failure("EACCES"), new VfioError("no", { code: "EACCES", errno: 13, device: edu })]) {
    // The override is written, then nothing is any more.
    let error = first;
    const write: WriteAttribute = (one, bdf) => {
      if (error === first) machine.write(one, bdf);
      const thrown = error;
      error = failure("EROFS");
      throw thrown;
    };
    machine.put(`${machine.folder(edu)}/driver_override`, "(null)");
    const act = (): void => rebind(machine.files, [to(machine, edu, bindTo("vfio-pci"))], { write });
    expect(act).toThrow(
      expect.objectContaining({ code: "EACCES", message: "no; could not be taken back: no" }),
    );
  }
});

describe("what speaks against it", () => {
  const isa = "0000:00:1f.0";
  const port = "0000:00:02.1";
  const pf = "0000:04:00.0";
  const reasons = (machine: Machine, bdf: string, wanted: WantedBinding): string[] =>
    rebindRefusals(machine.files, [to(machine, bdf, wanted)]).map(({ kind, reason }) => `${kind}: ${reason}`);
  const none = { driver: null, driverOverride: undefined };
  function mount(machine: Machine): void {
    machine.block(nvme, "nvme/nvme0/nvme0n1", "259:0");
    machine.put("/proc/self/mountinfo", "22 1 259:0 / / rw - ext4 /dev/nvme0n1 rw");
  }

  test("whatever takes a driver from a function that the host uses", () => {
    using machine = new Machine();
    mount(machine);
    const mounted = "in-use: nvme0n1 is mounted at /";
    for (const wanted of [bindTo("vfio-pci"), bindTo("pci-stub"), bindTo("ahci"), unbind, none])
      expect([wanted, reasons(machine, nvme, wanted)]).toEqual([wanted, [mounted]]);
    machine.put(`${machine.folder(nvme)}/driver_override`, "vfio-pci");
    const now = readBinding(machine.files, nvme);
    expect(reasons(machine, nvme, clearOverride(now))).toEqual([]);
    expect(reasons(machine, nvme, restoreBinding({ ...now, driverOverride: undefined }))).toEqual([]);
  });

  test("a console, a part of the host, virtual functions: where the driver goes, or the host is kept out", () => {
    using machine = new Machine();
    machine.put(`${machine.folder(edu)}/boot_vga`, "1");
    const dark = "in-use: the firmware's console is on it, and would go dark";
    expect(reasons(machine, edu, bindTo("vfio-pci"))).toEqual([dark]);
    expect(reasons(machine, edu, unbind)).toEqual([]);
    machine.bind(edu, "ahci");
    expect(reasons(machine, edu, none)).toEqual([dark]);
    machine.bind(edu, "vfio-pci");
    expect(reasons(machine, edu, unbind)).toEqual([]);
    expect(reasons(machine, isa, bindTo("vfio-pci"))[0]).toContain("it is a bridge of the host");
    machine.bind(isa, "igb");
    expect(reasons(machine, isa, none)[0]).toContain("it is a bridge of the host");
    const functions = "in-use: virtual functions of it are on (2), and would go";
    expect(reasons(machine, pf, none)).toEqual([functions]);
    machine.bind(pf, "vfio-pci");
    expect(reasons(machine, pf, unbind)).toEqual([functions]);
  });

  test("a bridge: its driver goes only where it blocks a group that goes to VFIO", () => {
    using machine = new Machine();
    const now = (): Rebinding => to(machine, port, detachDriver(readBinding(machine.files, port)));
    const both = (): string[] =>
      rebindRefusals(machine.files, [now(), to(machine, nvme, bindTo("vfio-pci"))]).map(({ kind }) => kind);
    machine.join(port, 12);
    expect(both()).toEqual(["in-use"]);
    machine.bind(port, "shpchp");
    expect(both()).toEqual([]);
    expect(rebindRefusals(machine.files, [now()]).map(({ kind }) => kind)).toEqual(["in-use"]);
    machine.bind(nvme, "vfio-pci");
    expect(rebindRefusals(machine.files, [now()])).toEqual([]);
    expect(reasons(machine, port, bindTo("vfio-pci"))[0]).toStartWith("bridge: ");
    // Its driver comes back, by an override or not.
    machine.bind(port, undefined);
    for (const driverOverride of [undefined, "shpchp", "pci-pf-stub"])
      expect(reasons(machine, port, { driver: driverOverride ?? "shpchp", driverOverride })).toEqual([]);
  });

  test("a process that has it open, whichever driver follows", () => {
    using machine = new Machine();
    machine.bind(nvme, "vfio-pci");
    machine.put("/proc/41/comm", "qemu");
    machine.open(41, 7, "/dev/vfio/12");
    for (const wanted of [unbind, bindTo("mlx5_vfio_pci"), none])
      expect(reasons(machine, nvme, wanted)).toEqual(["open: it is open in qemu (process 41)"]);
  });

  test("no IOMMU: a VFIO driver alone wants one", () => {
    using machine = new Machine();
    machine.unlink(`${machine.folder(edu)}/iommu_group`);
    expect(reasons(machine, edu, bindTo("vfio-pci"))[0]).toStartWith("no-iommu: ");
    for (const wanted of [unbind, bindTo("ahci"), bindTo("pci-stub")])
      expect(reasons(machine, edu, wanted)).toEqual([]);
    machine.put("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");
    expect(reasons(machine, edu, bindTo("vfio-pci"))).toEqual([]);
  });

  test("rebind refuses it before the first write, unless forced; a bridge even then", () => {
    using machine = new Machine();
    mount(machine);
    const { write } = machine;
    const both = [to(machine, ahci, bindTo("vfio-pci")), to(machine, nvme, none)];
    expect(refusal(() => rebind(machine.files, both, { write }))).toMatchObject({
      code: "EBUSY",
      device: nvme,
      message: "0000:02:00.0 keeps its driver: nvme0n1 is mounted at /",
      hint: "Unmount it first.",
    });
    const bridge = [to(machine, port, bindTo("vfio-pci"))];
    expect(refusal(() => rebind(machine.files, bridge, { write, force: true })).code).toBe("EBUSY");
    expect(machine.written).toEqual([]);
    rebind(machine.files, both, { write, force: true });
    expect(readBinding(machine.files, nvme).driver).toBeUndefined();
  });
});
