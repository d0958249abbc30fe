import { describe, expect, test } from "bun:test";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { DeviceNotices } from "../../../../src/device/backends/kernel/device-notices.ts";
import { CountedBackend } from "../../../../src/device/seam/counted-backend.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { syntheticImage } from "../../../support/synthetic-image.ts";

const recorded = (): RecordedDevice =>
  new RecordedDevice(
    syntheticImage({
      bars: { 0: { size: 0x20000 } },
      msix: { vectors: 4, table: [0, 0x10000], pba: [0, 0x18000] },
    }),
  );

class CountedBackendWithout extends CountedBackend {
  override get irqs(): [] {
    return [];
  }
}

describe("notices", () => {
  test("of one listener and another; the last one takes the eventfd away", async () => {
    using device = recorded();
    using notices = new DeviceNotices(device);
    let heard = 0;
    const arrived = async (count: number): Promise<void> => {
      for (let i = 0; i < 500 && heard < count; i++) await Bun.sleep(2);
      expect(heard).toBe(count);
    };
    const count = (): void => void heard++;
    const first = notices.on("remove-requested", count, {});
    const second = notices.on("remove-requested", count, {});
    expect(device.raise(IrqIndex.request, 0)).toBe(true);
    await arrived(2);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    device.raise(IrqIndex.request, 0);
    await arrived(3);
    second[Symbol.dispose]();
    expect(device.raise(IrqIndex.request, 0)).toBe(false);
  });

  test("of a device that has none", () => {
    using device = new RecordedDevice(syntheticImage({ bars: {} }));
    using notices = new DeviceNotices(new CountedBackendWithout(device));
    expect(() => notices.on("error", () => {}, {})).toThrow(expect.objectContaining({ code: "EOPNOTSUPP" }));
    expect(() => notices.on("unplugged" as "error", () => {}, {})).toThrow(RangeError);
  });
});
