import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { readConfigFile } from "../../../src/device/host/config-file.ts";
import { readPciDevice } from "../../../src/device/host/pci-device.ts";
import { recordFromSysfs } from "../../../src/device/host/sysfs-recorder.ts";
import { readImage, writeImage, type DeviceImage } from "../../../src/image/index.ts";
import { decodeConfig } from "../../../src/regs/index.ts";
import { Machine } from "../../support/host-machine.ts";

// Each test makes a machine of some hundred files.
setDefaultTimeout(60_000);

const nvme = "0000:02:00.0";
const record = (machine: Machine, bdf: string, rom = false): DeviceImage =>
  recordFromSysfs(machine.files, readPciDevice(machine.files, bdf)!, { rom });

test("a recording from sysfs has what the one through VFIO has", () => {
  using machine = new Machine();
  const image = record(machine, nvme);
  const real = readImage(readFileSync(join(import.meta.dir, "../../../images/nvme.json"), "utf8"));
  expect(image.regions).toEqual(real.regions);
  expect(image.irqs).toEqual(real.irqs);
  expect(image.config.length).toBe(4096);
  expect(image.host).toEqual({
    kernel: "Linux 6.12.95",
    iommu: "Intel VT-d",
    driver: "nvme",
    notes: ["recorded from sysfs, without VFIO"],
  });
  expect(image.resettable).toBe(true);
  expect(record(machine, "0000:00:1f.2").resettable).toBe(false);
  expect(readImage(writeImage(image))).toEqual(image);
});

test("a virtual function gets the IDs, BARs and memory decoding that its config space lacks", () => {
  using machine = new Machine();
  const image = record(machine, "0000:04:10.0");
  expect(decodeConfig(image.config).header.registers).toMatchObject({ vendorId: 0x8086, deviceId: 0x10ca });
  expect(image.config[4]! & 2).toBe(2);
  expect(decodeConfig(image.config).capabilities.map(({ name }) => name)).toContain("MSI-X");
  const device = new RecordedDevice(image);
  expect(device.regions.filter(({ size }) => size > 0).map(({ index, size }) => [index, size])).toEqual([
    [0, 0x4000],
    [3, 0x4000],
    [7, 4096],
  ]);
  const bar = new Uint8Array(4);
  device.write(7, 0x10, new Uint8Array(4).fill(0xff));
  device.read(7, 0x10, bar);
  expect([...bar]).toEqual([0x0c, 0xc0, 0xff, 0xff]);
});

test("64 bytes without privileges, and a note of it", () => {
  using machine = new Machine();
  const config = readFileSync(machine.at(`${machine.folder(nvme)}/config`));
  machine.put(`${machine.folder(nvme)}/config`, config.subarray(0, 64));
  const image = record(machine, nvme);
  expect(image.config.length).toBe(64);
  expect(image.host.notes).toContain(
    "only the first 64 bytes of config space were recorded: capabilities are unknown",
  );
});

test("config space that is empty, cut, or not there", () => {
  using machine = new Machine();
  const path = `${machine.folder(nvme)}/config`;
  const config = readFileSync(machine.at(path));
  machine.put(path, "");
  expect(() => readConfigFile(machine.files, nvme)).toThrow(`${nvme}: config space ends at byte 1`);
  machine.put(path, config.subarray(0, 70));
  expect(() => readConfigFile(machine.files, nvme)).toThrow(`${nvme}: config space ends at byte`);
  machine.unlink(path);
  expect(() => readConfigFile(machine.files, nvme)).toThrow(
    `${nvme}: cannot read its config space: ENOENT: no such file or directory`,
  );
});

test("resources that make no sense are named", () => {
  using machine = new Machine();
  machine.put(`${machine.folder(nvme)}/resource`, "junk");
  expect(() => record(machine, nvme)).toThrow("a resource file has one line for each of 6 BARs and the ROM");
});

test("a ROM that cannot be read is told with what to do", () => {
  using machine = new Machine();
  expect(() => record(machine, nvme, true)).toThrow(
    expect.objectContaining({
      message: `${nvme}: cannot read its ROM: ENOENT: no such file or directory`,
      hint: "The device has no ROM that Linux knows: record it without --rom.",
    }),
  );
});
