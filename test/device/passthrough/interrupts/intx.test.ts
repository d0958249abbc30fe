import { describe, expect, test } from "bun:test";
import { attach, memory, mmioRead, type Attached } from "../../../support/attached.ts";
import { at, type SyntheticDevice } from "../../../support/synthetic-image.ts";

const device: SyntheticDevice = { bars: { 0: { size: 0x2000 } }, msi: { log2: 0 } };
const unmasks = ({ backend }: Attached): number =>
  backend.irqRequests.filter(
    ({ index, action, data }) => index === 0 && action === "unmask" && data.kind === "none",
  ).length;
const lineOf = ({ platform }: Attached) => platform.state().intx[0]!;

describe("INTx", () => {
  test("defect 47: with a resample eventfd no access costs a request, and no interrupt is lost", () => {
    using guest = attach(device);
    guest.device.configWrite(0x04, 2, memory);
    const base = guest.device.configRead(0x10, 4);
    for (let i = 0; i < 20; i++) {
      guest.recorded.raise(0, 0);
      guest.platform.deliver();
      expect(lineOf(guest).asserted).toBe(true);
      mmioRead(guest.device, base, 4);
      guest.platform.endOfInterrupt(lineOf(guest).line);
      expect(lineOf(guest).asserted).toBe(false);
    }
    expect(unmasks(guest)).toBe(0);
    expect(guest.platform.state().slots).toHaveLength(1);
  });

  test("defect 47: without one, a platform that tells ends of interrupts unmasks by them alone", () => {
    const handled: Attached[] = [];
    using guest = attach(device, {
      platform: {
        resample: false,
        onEndOfInterrupt: () => handled.forEach(({ device }) => device.endOfInterrupt()),
      },
    });
    handled.push(guest);
    guest.device.configWrite(0x04, 2, memory);
    mmioRead(guest.device, guest.device.configRead(0x10, 4), 4);
    expect(unmasks(guest)).toBe(0);
    guest.recorded.raise(0, 0);
    guest.platform.deliver();
    guest.platform.endOfInterrupt(lineOf(guest).line);
    expect(unmasks(guest)).toBe(1);
  });

  test("defect 47: with neither, trapped accesses unmask, and BARs are not mapped while INTx is on", () => {
    using guest = attach(device, { platform: { resample: false } });
    guest.device.configWrite(0x04, 2, memory);
    expect(guest.platform.state().slots).toEqual([]);
    mmioRead(guest.device, guest.device.configRead(0x10, 4), 4);
    expect(unmasks(guest)).toBe(1);
    // With MSI on there is nothing to unmask: the BAR is mapped.
    guest.device.configWrite(0x52, 2, 1);
    expect(guest.platform.state().slots).toHaveLength(1);
    guest.device.configWrite(0x52, 2, 0);
    expect(guest.platform.state().slots).toEqual([]);
  });

  test("defect 48: no pin, no line of the platform, or no count: the device attaches without INTx", () => {
    using none = attach({ ...device, pin: 0 });
    using platform = attach(device, { platform: { intx: false } });
    using odd = attach({ ...device, pin: 9 });
    for (const guest of [none, platform, odd]) {
      expect(guest.device.describe().interrupts).toMatchObject({ mode: "none", intx: undefined });
      expect(guest.events).toEqual([]);
    }
  });

  test("a line that the host refuses is reported, and the device works without it", () => {
    using guest = attach(device, { prepare: (backend) => (backend.fails = (call) => call.kind === "irqs") });
    expect(guest.eventsOf("interrupt-failed")).toHaveLength(1);
    expect(guest.device.describe().interrupts.mode).toBe("none");
  });

  test("a reset lets the next interrupt come, although the guest never ended the last", () => {
    using guest = attach({ ...device, pcie: true });
    for (const reset of [
      () => guest.device.reset(),
      () => guest.device.configWrite(at.pcie + 8, 2, 0x8000),
    ]) {
      expect(guest.recorded.raise(0, 0)).toBe(true);
      guest.platform.deliver();
      reset();
      expect(lineOf(guest).asserted).toBe(false);
      expect(guest.recorded.raise(0, 0)).toBe(true);
      guest.platform.deliver();
      const { line, asserted } = lineOf(guest);
      expect(asserted).toBe(true);
      guest.platform.endOfInterrupt(line);
    }
  });
});
