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
    using it = attach(device);
    it.device.configWrite(0x04, 2, memory);
    const base = it.device.configRead(0x10, 4);
    for (let i = 0; i < 20; i++) {
      it.recorded.raise(0, 0);
      it.platform.deliver();
      expect(lineOf(it).asserted).toBe(true);
      mmioRead(it.device, base, 4);
      it.platform.endOfInterrupt(lineOf(it).line);
      expect(lineOf(it).asserted).toBe(false);
    }
    expect(unmasks(it)).toBe(0);
    expect(it.platform.state().slots).toHaveLength(1);
  });

  test("defect 47: without one, a platform that tells ends of interrupts unmasks by them alone", () => {
    const handled: Attached[] = [];
    using it = attach(device, {
      platform: {
        resample: false,
        onEndOfInterrupt: () => handled.forEach(({ device }) => device.endOfInterrupt()),
      },
    });
    handled.push(it);
    it.device.configWrite(0x04, 2, memory);
    mmioRead(it.device, it.device.configRead(0x10, 4), 4);
    expect(unmasks(it)).toBe(0);
    it.recorded.raise(0, 0);
    it.platform.deliver();
    it.platform.endOfInterrupt(lineOf(it).line);
    expect(unmasks(it)).toBe(1);
  });

  test("defect 47: with neither, trapped accesses unmask, and BARs are not mapped while INTx is on", () => {
    using it = attach(device, { platform: { resample: false } });
    it.device.configWrite(0x04, 2, memory);
    expect(it.platform.state().slots).toEqual([]);
    mmioRead(it.device, it.device.configRead(0x10, 4), 4);
    expect(unmasks(it)).toBe(1);
    // With MSI on there is nothing to unmask: the BAR is mapped.
    it.device.configWrite(0x52, 2, 1);
    expect(it.platform.state().slots).toHaveLength(1);
    it.device.configWrite(0x52, 2, 0);
    expect(it.platform.state().slots).toEqual([]);
  });

  test("defect 48: no pin, no line of the platform, or no count: the device attaches without INTx", () => {
    using none = attach({ ...device, pin: 0 });
    using platform = attach(device, { platform: { intx: false } });
    using odd = attach({ ...device, pin: 9 });
    for (const it of [none, platform, odd]) {
      expect(it.device.describe().interrupts).toMatchObject({ mode: "none", intx: undefined });
      expect(it.events).toEqual([]);
    }
  });

  test("a line that the host refuses is reported, and the device works without it", () => {
    using it = attach(device, { prepare: (backend) => (backend.fails = (call) => call.kind === "irqs") });
    expect(it.eventsOf("interrupt-failed")).toHaveLength(1);
    expect(it.device.describe().interrupts.mode).toBe("none");
  });

  test("a reset lets the next interrupt come, although the guest never ended the last", () => {
    using it = attach({ ...device, pcie: true });
    for (const reset of [() => it.device.reset(), () => it.device.configWrite(at.pcie + 8, 2, 0x8000)]) {
      expect(it.recorded.raise(0, 0)).toBe(true);
      it.platform.deliver();
      reset();
      expect(lineOf(it).asserted).toBe(false);
      expect(it.recorded.raise(0, 0)).toBe(true);
      it.platform.deliver();
      const { line, asserted } = lineOf(it);
      expect(asserted).toBe(true);
      it.platform.endOfInterrupt(line);
    }
  });
});
