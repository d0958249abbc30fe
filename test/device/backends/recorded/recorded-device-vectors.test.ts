// INTx, MSI and MSI-X through RecordedDevice, against facts of vfio_pci_intrs.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import type { Eventfd } from "../../../../src/ffi/eventfd.ts";
import {
  IrqFixture,
  bool,
  drained,
  fds,
  noError,
  intx,
  msi,
  msix,
  none,
  shape,
} from "../../../support/irq-fixture.ts";
import { at } from "../../../support/synthetic-image.ts";

describe("INTx", () => {
  test("is masked when it fires; what comes meanwhile is sent once it is unmasked", () => {
    using fixture = new IrqFixture();
    const a = fixture.eventfd();
    fixture.set(fds(intx, "trigger", [a]));
    expect([fixture.device.raise(intx, 0), a.drain()]).toEqual([true, 1]);
    expect([fixture.device.raise(intx, 0), fixture.device.raise(intx, 0), a.drain()]).toEqual([
      true,
      true,
      0,
    ]);
    fixture.set(none(intx, "unmask"));
    expect(a.drain()).toBe(1);
    fixture.set(bool(intx, "unmask", [false]));
    fixture.device.raise(intx, 0);
    expect(a.drain()).toBe(0);
    fixture.set(bool(intx, "unmask", [true]));
    fixture.set(bool(intx, "unmask", [true]));
    expect(a.drain()).toBe(1);
    expect(fixture.device.lost).toBe(0);
  });

  test("is masked and unmasked by request", () => {
    using fixture = new IrqFixture();
    const a = fixture.eventfd();
    fixture.set(fds(intx, "trigger", [a]));
    fixture.set(bool(intx, "mask", [false]));
    fixture.set(none(intx, "mask"));
    fixture.device.raise(intx, 0);
    expect(a.drain()).toBe(0);
    fixture.set(none(intx, "unmask"));
    expect(a.drain()).toBe(1);
  });

  test("is unmasked by an eventfd, of which there is one at a time", () => {
    using fixture = new IrqFixture();
    const [a, unmask, other] = fixture.eventfds(3) as [Eventfd, Eventfd, Eventfd];
    fixture.set(fds(intx, "trigger", [a]));
    expect(fixture.set(fds(intx, "unmask", [unmask]))).toBe(noError);
    expect(fixture.set(fds(intx, "unmask", [other]))).toBe("EBUSY");
    fixture.device.raise(intx, 0);
    fixture.device.raise(intx, 0);
    expect(a.drain()).toBe(1);
    unmask.signal();
    fixture.device.poll();
    // Its counter is taken, and the interrupt that waited is sent.
    expect(drained([a, unmask])).toEqual([1, 0]);
    unmask.signal();
    fixture.device.raise(intx, 0);
    expect(drained([a, unmask])).toEqual([1, 0]);
    expect(fixture.set(fds(intx, "unmask", [-1]))).toBe(noError);
    unmask.signal();
    fixture.device.raise(intx, 0);
    expect(drained([a, unmask])).toEqual([0, 1]);
    other.signal();
    expect(fixture.set(fds(intx, "unmask", [other]))).toBe(noError);
    expect(drained([a, other])).toEqual([1, 0]);
  });

  test("is held back by the interrupt disable bit, which the user alone sees", () => {
    using fixture = new IrqFixture();
    const a = fixture.eventfd();
    fixture.device.put(4, 2, 0x0400);
    fixture.set(fds(intx, "trigger", [a]));
    fixture.device.raise(intx, 0);
    fixture.set(none(intx, "unmask"));
    fixture.set(none(intx, "trigger"));
    expect(a.drain()).toBe(0);
    fixture.device.put(5, 1, 0);
    expect(a.drain()).toBe(1);
    expect(fixture.device.get(4, 2) & 0x0400).toBe(0);
  });

  test("is triggered by request, whatever is masked", () => {
    using fixture = new IrqFixture();
    const a = fixture.eventfd();
    fixture.set(fds(intx, "trigger", [a]));
    fixture.set(none(intx, "mask"));
    fixture.set(none(intx, "trigger"));
    fixture.set(bool(intx, "trigger", [true]));
    fixture.set(bool(intx, "trigger", [false]));
    expect(a.drain()).toBe(2);
  });

  test("takes another eventfd, or none; off, what waited is forgotten", () => {
    using fixture = new IrqFixture();
    const [a, b] = fixture.eventfds(2) as [Eventfd, Eventfd];
    fixture.set(fds(intx, "trigger", [a]));
    fixture.set(fds(intx, "trigger", [b]));
    fixture.device.raise(intx, 0);
    expect(drained([a, b])).toEqual([0, 1]);
    fixture.set(fds(intx, "trigger", [-1]));
    fixture.set(none(intx, "unmask"));
    expect(fixture.device.raise(intx, 0)).toBe(false);
    fixture.device.raise(intx, 0);
    fixture.set(none(intx, "trigger", 0));
    fixture.set(fds(intx, "trigger", [a]));
    fixture.set(none(intx, "unmask"));
    expect([a.drain(), fixture.device.lost]).toEqual([0, 1]);
  });
});

describe("MSI", () => {
  test("vectors signal their own eventfds; how many is fixed until it is off", () => {
    using fixture = new IrqFixture();
    const list = fixture.eventfds(4);
    expect(fixture.set(fds(msi, "trigger", list.slice(0, 2)))).toBe(noError);
    fixture.device.raise(msi, 1);
    expect(fixture.device.raise(msi, 2)).toBe(false);
    expect(fixture.set(fds(msi, "trigger", [list[2]!], 2))).toBe("EINVAL");
    expect(drained(list)).toEqual([0, 1, 0, 0]);
    fixture.set(none(msi, "trigger", 0));
    expect(fixture.set(fds(msi, "trigger", list))).toBe(noError);
    for (const vector of [0, 3, 3]) fixture.device.raise(msi, vector);
    expect(drained(list)).toEqual([1, 0, 0, 2]);
    expect(fixture.device.raise(msi, 4)).toBe(false);
    expect(fixture.device.lost).toBe(2);
  });

  test("a vector loses its eventfd by -1, and gets another", () => {
    using fixture = new IrqFixture();
    const list = fixture.eventfds(3);
    fixture.set(fds(msi, "trigger", list));
    fixture.set(fds(msi, "trigger", [-1], 1));
    expect(fixture.device.raise(msi, 1)).toBe(false);
    fixture.set(fds(msi, "trigger", [list[0]!], 1));
    fixture.device.raise(msi, 1);
    expect(drained(list)).toEqual([1, 0, 0]);
  });

  test("a masked vector waits in the pending bits, which the mask bits give free", () => {
    using fixture = new IrqFixture();
    const list = fixture.eventfds(4);
    fixture.set(fds(msi, "trigger", list));
    fixture.device.put(at.msi + 16, 4, 0b1010);
    for (const vector of [0, 1, 3]) fixture.device.raise(msi, vector);
    expect(drained(list)).toEqual([1, 0, 0, 0]);
    expect(fixture.device.get(at.msi + 20)).toBe(0b1010);
    fixture.device.put(at.msi + 16, 1, 0b1000);
    expect(drained(list)).toEqual([0, 1, 0, 0]);
    expect(fixture.device.get(at.msi + 20)).toBe(0b1000);
    fixture.device.put(at.msi + 16, 4, 0);
    expect(drained(list)).toEqual([0, 0, 0, 1]);
  });

  test("is triggered by request: the vectors that are named, those without an eventfd not", () => {
    using fixture = new IrqFixture();
    const list = fixture.eventfds(3);
    fixture.set(fds(msi, "trigger", [list[0]!, list[1]!, -1, list[2]!]));
    expect(fixture.set(none(msi, "trigger", 3, 1))).toBe(noError);
    expect(fixture.set(bool(msi, "trigger", [true, false], 0))).toBe(noError);
    expect(drained(list)).toEqual([1, 1, 1]);
  });

  test("a request that fails half-way takes the eventfds before it away; what it turned on is off", () => {
    using fixture = new IrqFixture();
    const list = fixture.eventfds(4);
    expect(fixture.set(fds(msi, "trigger", [list[0]!, 999_999]))).toBe("EBADF");
    expect(fixture.set(none(msi, "trigger", 0))).toBe("EINVAL");
    fixture.set(fds(msi, "trigger", list));
    expect(fixture.set(fds(msi, "trigger", [list[3]!, 999_999], 1))).toBe("EBADF");
    expect([0, 1, 2, 3].map((vector) => fixture.device.raise(msi, vector))).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(drained(list)).toEqual([1, 0, 0, 1]);
  });
});

describe("MSI-X", () => {
  test("grows while it is on, where the host can", () => {
    using fixture = new IrqFixture();
    const list = fixture.eventfds(2);
    fixture.set(fds(msix, "trigger", [list[0]!]));
    expect(fixture.set(fds(msix, "trigger", [list[1]!], 6))).toBe(noError);
    fixture.device.raise(msix, 6);
    expect(drained(list)).toEqual([0, 1]);
  });

  test("does not grow where the host cannot", () => {
    using fixture = new IrqFixture({ ...shape, msix: { ...shape.msix!, noResize: true } });
    const list = fixture.eventfds(2);
    fixture.set(fds(msix, "trigger", [list[0]!, -1]));
    expect(fixture.set(fds(msix, "trigger", [list[1]!], 1))).toBe(noError);
    expect(fixture.set(fds(msix, "trigger", [list[1]!], 6))).toBe("EINVAL");
    expect(fixture.set(fds(msix, "trigger", [-1], 6))).toBe(noError);
  });

  test("a vector that nobody asked for is masked: it waits in the PBA until somebody does", () => {
    using fixture = new IrqFixture();
    const list = fixture.eventfds(2);
    const pba = (): number => {
      const byte = new Uint8Array(new ArrayBuffer(1));
      fixture.device.read(0, 0x3000, byte);
      return byte[0]!;
    };
    fixture.set(fds(msix, "trigger", [list[0]!]));
    expect([fixture.device.raise(msix, 5), fixture.device.raise(msix, 5), pba()]).toEqual([true, true, 0x20]);
    fixture.set(fds(msix, "trigger", [list[1]!], 5));
    expect([drained(list), pba()]).toEqual([[0, 1], 0]);
    expect(fixture.device.raise(msix, 8)).toBe(false);
  });
});
