// machines: (intel)
// takes: 15 s
// What the commands must not take from a real kernel's host, whichever of them is asked: bind, unbind and undo.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { bunVfio, shell, temporary } from "./support/command.ts";
import { bindTo, driverOf, find, sysDevices } from "./support/devices.ts";

const nvme = find("nvme");
const e1000e = find("e1000e");
const override = (bdf: string): string => readFileSync(`${sysDevices}/${bdf}/driver_override`, "utf8").trim();
const setOverride = (bdf: string, driver: string): void =>
  writeFileSync(`${sysDevices}/${bdf}/driver_override`, `${driver}\n`);
const mounted = "/run/refusals";

/** An undo file as a run of before, or somebody else, wrote it. */
function undoFile(folder: { at(name: string): string }, bdf: string, driver: string | null): string {
  const path = folder.at("undo.json");
  const bindings = [{ bdf, driver, driverOverride: driver }];
  writeFileSync(path, JSON.stringify({ format: "bun-vfio-undo", version: 1, bindings }));
  return path;
}
/** Gives a function to its driver of the host, whatever had it. */
function unbind(bdf: string, driver: string): void {
  bindTo(bdf, undefined);
  setOverride(bdf, "");
  if (driverOf(bdf) !== driver) writeFileSync(`/sys/bus/pci/drivers/${driver}/bind`, bdf);
}

afterAll(() => {
  for (const bdf of [nvme, e1000e]) {
    bindTo(bdf, undefined);
    setOverride(bdf, "");
  }
  shell("modprobe -r nvme e1000e ext4");
});

describe("a mounted disk", () => {
  beforeAll(() => {
    shell("modprobe nvme; modprobe crc32c_generic; modprobe ext4");
    unbind(nvme, "nvme");
    shell(`mke2fs -q /dev/nvme0n1; mkdir -p ${mounted}; mount -t ext4 /dev/nvme0n1 ${mounted}`);
    writeFileSync(`${mounted}/kept`, "kept");
  });
  afterEach(() => setOverride(nvme, ""));
  afterAll(() => void shell(`umount ${mounted}`));
  /** The driver is there, and so is what the disk holds: read from it, not from memory. */
  const stillThere = (): void => {
    expect(driverOf(nvme)).toBe("nvme");
    shell(`sync; echo 3 > /proc/sys/vm/drop_caches`);
    expect(readFileSync(`${mounted}/kept`, "utf8")).toBe("kept");
  };

  test.each([null, "vfio-pci", "pci-stub"])(
    "undo of a file that names %p as its driver is refused",
    (driver) => {
      shell("modprobe pci-stub");
      using folder = temporary();
      expect(bunVfio("undo", undoFile(folder, nvme, driver))).toEqual({
        code: 2,
        out: "",
        err: `bun-vfio: refused: ${nvme}: nvme0n1 is mounted at ${mounted}; unmount it first; --force does it all the same\n`,
      });
      expect(override(nvme)).toBe("(null)");
      stillThere();
    },
  );

  test("unbind clears the override of one that was never given to VFIO, with --force too, and no more", () => {
    for (const force of [[], ["--force"]]) {
      setOverride(nvme, "vfio-pci");
      expect(bunVfio("unbind", ...force, nvme)).toEqual({
        code: 0,
        out: `${nvme}: nvme stays, driver_override vfio-pci -> none\n`,
        err: "",
      });
      expect(override(nvme)).toBe("(null)");
      stillThere();
    }
  });

  test("an undo file of when it was bound to VFIO", () => {
    using folder = temporary();
    const path = folder.at("undo.json");
    shell(`umount ${mounted}`);
    try {
      expect(bunVfio("bind", "--undo-file", path, nvme).code).toBe(0);
      // Made the other way round: it was VFIO's, and is the host's now, and in use.
      expect(bunVfio("unbind", "--undo-file", folder.at("back.json"), nvme).code).toBe(0);
    } finally {
      shell(`mount -t ext4 /dev/nvme0n1 ${mounted}`);
    }
    expect(bunVfio("undo", folder.at("back.json")).err).toContain(`nvme0n1 is mounted at ${mounted}`);
    stillThere();
    expect(bunVfio("undo", path)).toMatchObject({ code: 0, err: "bun-vfio: nothing to do\n" });
  });

  test("its ROM is not read", () => {
    using folder = temporary();
    expect(bunVfio("record", nvme, "--rom", "-o", folder.at("x.json")).err).toContain(
      "its BARs may not answer while its ROM is read",
    );
    stillThere();
  });
});

describe("the interface with the default route", () => {
  beforeAll(() => {
    shell("modprobe e1000e");
    unbind(e1000e, "e1000e");
    shell(
      "ip link set eth0 up; ip address add 192.0.2.1/24 dev eth0; ip route add default via 192.0.2.2 dev eth0",
    );
  });

  test("undo is refused; forced, it does what the file says", () => {
    using folder = temporary();
    const path = undoFile(folder, e1000e, "vfio-pci");
    expect(bunVfio("undo", path)).toMatchObject({
      code: 2,
      err: `bun-vfio: refused: ${e1000e}: eth0 carries the default route; take the interface down first; --force does it all the same\n`,
    });
    expect(driverOf(e1000e)).toBe("e1000e");
    expect(bunVfio("undo", "--force", path)).toMatchObject({
      code: 0,
      out: `${e1000e}: e1000e -> vfio-pci\n`,
    });
    expect(bunVfio("unbind", e1000e)).toMatchObject({ code: 0, out: `${e1000e}: vfio-pci -> e1000e\n` });
  });
});

test("a bridge keeps its driver, and goes to no VFIO driver with --force", () => {
  using folder = temporary();
  const port = "0000:00:02.0";
  expect(bunVfio("undo", undoFile(folder, port, null)).err).toContain(
    "it is a bridge, and stays with the host",
  );
  expect(bunVfio("undo", "--force", undoFile(folder, port, "vfio-pci")).err).toBe(
    `bun-vfio: ${port}: it is a bridge, and stays with the host; bind the devices behind it\n`,
  );
  expect([driverOf(port), override(port)]).toEqual(["pcieport", "(null)"]);
});
