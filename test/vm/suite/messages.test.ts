// machines: (messages, few-messages)
// takes: 5 s
// How many messages of MSI a guest is offered: with interrupt remapping as many as the device has, without it Linux gives one.
import { afterAll, expect, test } from "bun:test";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { bindTo, ownDescriptors } from "./support/devices.ts";
import { iommu } from "./support/rules.ts";

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

test("a guest that enables all messages that it is offered has them", () => {
  const bdf = "0000:01:00.0";
  bindTo(bdf, "vfio-pci");
  const kernel = openDevice(bdf);
  const capable = kernel.irqs[IrqIndex.msi]!.count;
  expect(capable).toBeGreaterThan(1);
  const setIrqs = kernel.setIrqs.bind(kernel);
  let requests = 0;
  kernel.setIrqs = (request) => {
    if (request.index === IrqIndex.msi) requests++;
    setIrqs(request);
  };
  using platform = new MemoryPlatform();
  {
    using device = VfioPciDevice.attach(kernel, platform);
    const offered = iommu === "virtio" ? 1 : capable;
    expect(device.describe().interrupts.msiVectors).toBe(offered);
    // On and off; or once, where the kernel says how many there are.
    expect(requests).toBe(offered === capable ? 2 : 1);
    const { offset } = device.describe().capabilities.find(({ id, extended }) => id === 0x05 && !extended)!;
    const asked = (device.configRead(offset + 2, 2) >>> 1) & 7;
    expect(2 ** asked).toBe(offered);
    device.configWrite(offset + 4, 4, 0xfee00000);
    device.configWrite(offset + 2, 2, 1 | (asked << 4));
    expect(device.describe().interrupts).toMatchObject({ mode: "MSI" });
    expect(device.describe().interrupts.routed).toHaveLength(offered);
  }
  expect(platform.leaks()).toEqual([]);
});
