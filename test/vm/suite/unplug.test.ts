// machines: (intel, native, none)
// takes: 15 s
// A device is unplugged while it is open: it is asked for, closed, and gone; nothing of it is left, and it can come back.
import { afterAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { open, ways } from "./support/apis.ts";
import { deviceMappings, ownDescriptors, sysDevices, take, type DeviceName } from "./support/devices.ts";
import { gone, plug, unplug } from "./support/plug.ts";
import { page } from "./support/rules.ts";

/** Without eventfds: the event loop makes some of its own when it first waits. */
const deviceDescriptors = (): string[] => ownDescriptors().filter((line) => !line.includes("eventfd"));
const before = deviceDescriptors();
afterAll(() => expect(deviceDescriptors()).toEqual(before));

for (const way of ways)
  test(`${way.name}: edu, unplugged while it is open and mapped`, async () => {
    const bdf = take("edu");
    using device = open(bdf, way);
    const asked = Promise.withResolvers<void>();
    using _notice = device.on("remove-requested", () => asked.resolve());
    device.write(RegionIndex.config, 4, Uint8Array.of(2, 0));
    using bar = device.map(0, { offset: 0, size: page });
    await unplug("edu");
    await asked.promise;
    // The kernel waits: all works until it is closed.
    expect(existsSync(`${sysDevices}/${bdf}`)).toBe(true);
    device.read(RegionIndex.config, 0, new Uint8Array(new ArrayBuffer(4)));
    device[Symbol.dispose]();
    expect(bar.mapping.closed).toBe(true);
    await gone(bdf);
    expect(deviceDescriptors()).toEqual(before);
    expect(deviceMappings()).toEqual([]);
    expect(() => open(bdf, way)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("There is no PCI device") }),
    );

    expect(await plug("edu")).toBe(bdf);
    using again = open(take("edu"), way);
    again.write(RegionIndex.config, 4, Uint8Array.of(2, 0));
    expect(again.map(0, { offset: 0, size: page }).registers.read32(0)).toBe(0x010000ed);
  });

test("a device with a disk has its disk again", async () => {
  const bdf = take("nvme");
  await unplug("nvme");
  await gone(bdf);
  expect(await plug("nvme")).toBe(bdf);
});

test("whose slots these are: the kernel's own by registers of the ports, or the firmware's", () => {
  const ports = readdirSync("/sys/bus/pci_express/drivers/pciehp").filter((name) => name.includes(":pcie"));
  expect(ports.length > 0).toBe(process.env["BUN_VFIO_VM_MACHINE"] === "native");
});

test("what the machine has not is told", async () => {
  await expect(unplug("floppy" as DeviceName)).rejects.toThrow('has no device "floppy"');
});
