import { describe, expect, test } from "bun:test";
import { IrqIndex, type IrqRequest } from "../../../../src/regs/vfio/irqs.ts";
import { CountedBackend } from "../../../../src/device/seam/counted-backend.ts";
import { Vectors } from "../../../../src/device/backends/kernel/vectors.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { syntheticImage } from "../../../support/synthetic-image.ts";

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
    expect(device.requests).toEqual(["0+-", "2+x", "5+x"]);
    device.recorded.raise(IrqIndex.msix, 5);
    expect([two.drain(), five.drain()]).toEqual([0, 1]);
    vectors.disarm(5);
    vectors.disarm(5);
    expect(() => five.fd).toThrow("is closed");
    expect(device.requests.slice(3)).toEqual(["5+-"]);
  });

  test("are all turned off and on where it cannot, and told to look", () => {
    using device = new Device(false);
    using vectors = new Vectors(device, IrqIndex.msix);
    const two = vectors.arm(2);
    const one = vectors.arm(1);
    expect(device.requests).toEqual(["0+--x", "1+x"]);
    const five = vectors.arm(5);
    expect(device.requests.slice(2)).toEqual(["off", "0+-xx--x--"]);
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

  test("are armed by one request when all are asked for at once, whatever the host can", () => {
    for (const grows of [true, false]) {
      using device = new Device(grows);
      using vectors = new Vectors(device, IrqIndex.msix);
      const three = vectors.armAll(3);
      expect(device.requests).toEqual(["0+xxx"]);
      expect(vectors.armAll(2)).toEqual(three.slice(0, 2));
      expect(device.requests.length).toBe(1);
      expect(three.map((eventfd) => eventfd.drain())).toEqual([0, 0, 0]);
      for (const vector of [0, 2]) device.recorded.raise(IrqIndex.msix, vector);
      expect(three.map((eventfd) => eventfd.drain())).toEqual([1, 0, 1]);
      const all = vectors.armAll();
      expect([all.length, ...all.slice(0, 3)]).toEqual([8, ...three]);
      expect(device.requests.slice(1)).toEqual(grows ? ["3+xxxxx"] : ["off", "0+xxxxxxxx"]);
      expect(all.map((eventfd) => eventfd.drain())).toEqual(
        grows ? Array(8).fill(0) : [1, 1, 1, 0, 0, 0, 0, 0],
      );
      device.recorded.raise(IrqIndex.msix, 7);
      expect(all[7]!.drain()).toBe(1);
    }
  });

  test("that are armed already are not touched by a request for all around them", () => {
    using device = new Device(true);
    using vectors = new Vectors(device, IrqIndex.msix);
    const [one, four] = [vectors.arm(1), vectors.arm(4)];
    const all = vectors.armAll(7);
    expect(device.requests.slice(3)).toEqual(["0+x", "2+xx", "5+xx"]);
    expect([all[1], all[4]]).toEqual([one, four]);
    device.recorded.raise(IrqIndex.msix, 4);
    expect(all.map((eventfd) => eventfd.drain())).toEqual([0, 0, 0, 0, 1, 0, 0]);
  });

  test("of which the host refuses one are all as before", () => {
    for (const grows of [true, false]) {
      using device = new Device(grows);
      using vectors = new Vectors(device, IrqIndex.msix);
      device.refuse = true;
      expect(() => vectors.armAll()).toThrow("no vector left");
      const two = vectors.arm(2);
      const before = device.requests.length;
      expect(() => vectors.armAll()).toThrow("no vector left");
      expect(device.requests.slice(before)).toEqual(
        grows ? ["0+xx", "3+xxxxx", "0+--"] : ["off", "0+xxxxxxxx", "0+--x"],
      );
      two.drain();
      device.recorded.raise(IrqIndex.msix, 2);
      expect(two.drain()).toBe(1);
      device.refuse = false;
      const all = vectors.armAll();
      for (let vector = 0; vector < 8; vector++) {
        all[vector]!.drain();
        device.recorded.raise(IrqIndex.msix, vector);
        expect(all[vector]!.drain()).toBe(1);
      }
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
    for (const arm of [() => vectors.arm(0), () => vectors.armAll(1)])
      expect(arm).toThrow(expect.objectContaining({ code: "ECLOSED" }));
  });

  test("that are none", () => {
    using device = new Device(true);
    expect(() => new Vectors(device, IrqIndex.msi)).toThrow(expect.objectContaining({ code: "EOPNOTSUPP" }));
    expect(() => new Vectors(device, IrqIndex.intx)).toThrow(RangeError);
    using vectors = new Vectors(device, IrqIndex.msix);
    for (const bad of [-1, 8, 0.5]) expect(() => vectors.arm(bad)).toThrow(RangeError);
    for (const bad of [0, 9, 1.5]) expect(() => vectors.armAll(bad)).toThrow(RangeError);
  });
});
