import { describe, expect, test } from "bun:test";
import { IrqIndex, type IrqRequest } from "../../../src/device/backend.ts";
import { CountedBackend } from "../../../src/device/counted-backend.ts";
import { Vectors } from "../../../src/device/kernel/vectors.ts";
import { RecordedDevice } from "../../../src/device/recorded-device.ts";
import { syntheticImage } from "../../support/synthetic-image.ts";

/** A device with 8 MSI-X vectors, over a host that can add vectors or not. */
class Device extends CountedBackend {
  readonly recorded: RecordedDevice;
  readonly requests: string[] = [];
  refuse = false;
  constructor(grows: boolean) {
    const image = syntheticImage({
      bars: { 0: { size: 0x20000 } },
      msix: { vectors: 8, table: [0, 0x10000], pba: [0, 0x18000] },
    });
    const irqs = image.irqs.map((irq) => (irq.index === IrqIndex.msix ? { ...irq, noResize: !grows } : irq));
    const recorded = new RecordedDevice({ ...image, irqs });
    super(recorded);
    this.recorded = recorded;
  }
  override setIrqs(request: IrqRequest): void {
    const { data, start } = request;
    this.requests.push(
      data.kind === "eventfd" ? `${start}+${data.fds.map((fd) => (fd < 0 ? "-" : "x")).join("")}` : "off",
    );
    if (this.refuse && data.kind === "eventfd" && data.fds.length + start === 8)
      throw new Error("no vector left");
    super.setIrqs(request);
  }
}

describe("vectors", () => {
  test("are armed one by one where the host can add them", () => {
    using device = new Device(true);
    using vectors = new Vectors(device, IrqIndex.msix);
    const two = vectors.arm(2);
    const five = vectors.arm(5);
    expect(vectors.arm(2)).toBe(two);
    expect(device.requests).toEqual(["2+x", "5+x"]);
    device.recorded.raise(IrqIndex.msix, 5);
    expect([two.drain(), five.drain()]).toEqual([0, 1]);
    vectors.disarm(5);
    vectors.disarm(5);
    expect(() => five.fd).toThrow("is closed");
    expect(device.requests.slice(2)).toEqual(["5+-"]);
  });

  test("are all turned off and on where it cannot, and told to look", () => {
    using device = new Device(false);
    using vectors = new Vectors(device, IrqIndex.msix);
    const two = vectors.arm(2);
    const one = vectors.arm(1);
    expect(device.requests).toEqual(["2+x", "1+x"]);
    const five = vectors.arm(5);
    expect(device.requests.slice(2)).toEqual(["off", "0+-xx--x"]);
    expect([one.drain(), two.drain(), five.drain()]).toEqual([1, 1, 0]);
    for (const vector of [1, 2, 5]) device.recorded.raise(IrqIndex.msix, vector);
    expect([one.drain(), two.drain(), five.drain()]).toEqual([1, 1, 1]);
  });

  test("that the host has no more of leave the others as they were", () => {
    for (const grows of [true, false]) {
      using device = new Device(grows);
      using vectors = new Vectors(device, IrqIndex.msix);
      const two = vectors.arm(2);
      device.refuse = true;
      expect(() => vectors.arm(7)).toThrow("no vector left");
      two.drain();
      expect(device.recorded.raise(IrqIndex.msix, 2)).toBe(true);
      expect(two.drain()).toBe(1);
      device.refuse = false;
      device.recorded.raise(IrqIndex.msix, 2);
      expect(vectors.arm(7).drain()).toBe(0);
    }
  });

  test("go off with their owner, and are refused afterwards", () => {
    using device = new Device(true);
    const vectors = new Vectors(device, IrqIndex.msix);
    const zero = vectors.arm(0);
    vectors[Symbol.dispose]();
    vectors[Symbol.dispose]();
    expect(device.requests).toEqual(["0+x", "off"]);
    expect(() => zero.fd).toThrow("is closed");
    expect(() => vectors.arm(0)).toThrow(expect.objectContaining({ code: "ECLOSED" }));
  });

  test("that are none", () => {
    using device = new Device(true);
    expect(() => new Vectors(device, IrqIndex.msi)).toThrow(expect.objectContaining({ code: "EOPNOTSUPP" }));
    expect(() => new Vectors(device, IrqIndex.intx)).toThrow(RangeError);
    using vectors = new Vectors(device, IrqIndex.msix);
    for (const bad of [-1, 8, 0.5]) expect(() => vectors.arm(bad)).toThrow(RangeError);
  });
});
