// machines: (intel)
// A device is stopped before the model resets it, whichever way the kernel has of doing that: nvme and igb have FLR, e1000e loses
// power, edu's bus is reset.
import { expect, test } from "bun:test";
import { MemoryPlatform } from "../../../src/device/platforms/memory/memory-platform.ts";
import { VfioPciDevice } from "../../../src/device/passthrough/vfio-pci-device.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { open, ways } from "./support/apis.ts";
import { take } from "./support/devices.ts";

test.each(["nvme", "e1000e", "igb", "edu"] as const)(
  "%s is stopped before the model resets it, and comes back as no bus master",
  (name) => {
    const device = open(take(name), ways[0]!);
    const command = (): number => {
      const data = new Uint8Array(new ArrayBuffer(2));
      device.read(RegionIndex.config, 4, data);
      return data[0]!;
    };
    const seen: string[] = [];
    const { reset } = device;
    device.reset = () => {
      seen.push(`before ${command() & 4}`);
      reset.call(device);
      seen.push(`after ${command() & 4}`);
    };
    using platform = new MemoryPlatform();
    using model = VfioPciDevice.attach(device, platform);
    model.configWrite(4, 2, 6);
    expect(command() & 4).toBe(4);
    model.reset();
    // At attach, and then.
    expect(seen).toEqual(["before 0", "after 0", "before 0", "after 0"]);
  },
);
