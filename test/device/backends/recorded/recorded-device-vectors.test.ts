// INTx, MSI and MSI-X through RecordedDevice, against facts of vfio_pci_intrs.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import type { Eventfd } from "../../../../src/ffi/eventfd.ts";
import { Bench, bool, drained, fds, fine, intx, msi, msix, none, shape } from "../../../support/irq-bench.ts";
import { at } from "../../../support/synthetic-image.ts";

describe("INTx", () => {
  test("is masked when it fires; what comes meanwhile is sent once it is unmasked", () => {
    using bench = new Bench();
    const a = bench.one();
    bench.set(fds(intx, "trigger", [a]));
    expect([bench.device.raise(intx, 0), a.drain()]).toEqual([true, 1]);
    expect([bench.device.raise(intx, 0), bench.device.raise(intx, 0), a.drain()]).toEqual([true, true, 0]);
    bench.set(none(intx, "unmask"));
    expect(a.drain()).toBe(1);
    bench.set(bool(intx, "unmask", [false]));
    bench.device.raise(intx, 0);
    expect(a.drain()).toBe(0);
    bench.set(bool(intx, "unmask", [true]));
    bench.set(bool(intx, "unmask", [true]));
    expect(a.drain()).toBe(1);
    expect(bench.device.lost).toBe(0);
  });

  test("is masked and unmasked by request", () => {
    using bench = new Bench();
    const a = bench.one();
    bench.set(fds(intx, "trigger", [a]));
    bench.set(bool(intx, "mask", [false]));
    bench.set(none(intx, "mask"));
    bench.device.raise(intx, 0);
    expect(a.drain()).toBe(0);
    bench.set(none(intx, "unmask"));
    expect(a.drain()).toBe(1);
  });

  test("is unmasked by an eventfd, of which there is one at a time", () => {
    using bench = new Bench();
    const [a, unmask, other] = bench.eventfds(3) as [Eventfd, Eventfd, Eventfd];
    bench.set(fds(intx, "trigger", [a]));
    expect(bench.set(fds(intx, "unmask", [unmask]))).toBe(fine);
    expect(bench.set(fds(intx, "unmask", [other]))).toBe("EBUSY");
    bench.device.raise(intx, 0);
    bench.device.raise(intx, 0);
    expect(a.drain()).toBe(1);
    unmask.signal();
    bench.device.poll();
    // Its counter is taken, and the interrupt that waited is sent.
    expect(drained([a, unmask])).toEqual([1, 0]);
    unmask.signal();
    bench.device.raise(intx, 0);
    expect(drained([a, unmask])).toEqual([1, 0]);
    expect(bench.set(fds(intx, "unmask", [-1]))).toBe(fine);
    unmask.signal();
    bench.device.raise(intx, 0);
    expect(drained([a, unmask])).toEqual([0, 1]);
    other.signal();
    expect(bench.set(fds(intx, "unmask", [other]))).toBe(fine);
    expect(drained([a, other])).toEqual([1, 0]);
  });

  test("is held back by the interrupt disable bit, which the user alone sees", () => {
    using bench = new Bench();
    const a = bench.one();
    bench.device.put(4, 2, 0x0400);
    bench.set(fds(intx, "trigger", [a]));
    bench.device.raise(intx, 0);
    bench.set(none(intx, "unmask"));
    bench.set(none(intx, "trigger"));
    expect(a.drain()).toBe(0);
    bench.device.put(5, 1, 0);
    expect(a.drain()).toBe(1);
    expect(bench.device.get(4, 2) & 0x0400).toBe(0);
  });

  test("is triggered by request, whatever is masked", () => {
    using bench = new Bench();
    const a = bench.one();
    bench.set(fds(intx, "trigger", [a]));
    bench.set(none(intx, "mask"));
    bench.set(none(intx, "trigger"));
    bench.set(bool(intx, "trigger", [true]));
    bench.set(bool(intx, "trigger", [false]));
    expect(a.drain()).toBe(2);
  });

  test("takes another eventfd, or none; off, what waited is forgotten", () => {
    using bench = new Bench();
    const [a, b] = bench.eventfds(2) as [Eventfd, Eventfd];
    bench.set(fds(intx, "trigger", [a]));
    bench.set(fds(intx, "trigger", [b]));
    bench.device.raise(intx, 0);
    expect(drained([a, b])).toEqual([0, 1]);
    bench.set(fds(intx, "trigger", [-1]));
    bench.set(none(intx, "unmask"));
    expect(bench.device.raise(intx, 0)).toBe(false);
    bench.device.raise(intx, 0);
    bench.set(none(intx, "trigger", 0));
    bench.set(fds(intx, "trigger", [a]));
    bench.set(none(intx, "unmask"));
    expect([a.drain(), bench.device.lost]).toEqual([0, 1]);
  });
});

describe("MSI", () => {
  test("vectors signal their own eventfds; how many is fixed until it is off", () => {
    using bench = new Bench();
    const list = bench.eventfds(4);
    expect(bench.set(fds(msi, "trigger", list.slice(0, 2)))).toBe(fine);
    bench.device.raise(msi, 1);
    expect(bench.device.raise(msi, 2)).toBe(false);
    expect(bench.set(fds(msi, "trigger", [list[2]!], 2))).toBe("EINVAL");
    expect(drained(list)).toEqual([0, 1, 0, 0]);
    bench.set(none(msi, "trigger", 0));
    expect(bench.set(fds(msi, "trigger", list))).toBe(fine);
    for (const vector of [0, 3, 3]) bench.device.raise(msi, vector);
    expect(drained(list)).toEqual([1, 0, 0, 2]);
    expect(bench.device.raise(msi, 4)).toBe(false);
    expect(bench.device.lost).toBe(2);
  });

  test("a vector loses its eventfd by -1, and gets another", () => {
    using bench = new Bench();
    const list = bench.eventfds(3);
    bench.set(fds(msi, "trigger", list));
    bench.set(fds(msi, "trigger", [-1], 1));
    expect(bench.device.raise(msi, 1)).toBe(false);
    bench.set(fds(msi, "trigger", [list[0]!], 1));
    bench.device.raise(msi, 1);
    expect(drained(list)).toEqual([1, 0, 0]);
  });

  test("a masked vector waits in the pending bits, which the mask bits give free", () => {
    using bench = new Bench();
    const list = bench.eventfds(4);
    bench.set(fds(msi, "trigger", list));
    bench.device.put(at.msi + 16, 4, 0b1010);
    for (const vector of [0, 1, 3]) bench.device.raise(msi, vector);
    expect(drained(list)).toEqual([1, 0, 0, 0]);
    expect(bench.device.get(at.msi + 20)).toBe(0b1010);
    bench.device.put(at.msi + 16, 1, 0b1000);
    expect(drained(list)).toEqual([0, 1, 0, 0]);
    expect(bench.device.get(at.msi + 20)).toBe(0b1000);
    bench.device.put(at.msi + 16, 4, 0);
    expect(drained(list)).toEqual([0, 0, 0, 1]);
  });

  test("is triggered by request: the vectors that are named, those without an eventfd not", () => {
    using bench = new Bench();
    const list = bench.eventfds(3);
    bench.set(fds(msi, "trigger", [list[0]!, list[1]!, -1, list[2]!]));
    expect(bench.set(none(msi, "trigger", 3, 1))).toBe(fine);
    expect(bench.set(bool(msi, "trigger", [true, false], 0))).toBe(fine);
    expect(drained(list)).toEqual([1, 1, 1]);
  });

  test("a request that fails half-way takes the eventfds before it away; what it turned on is off", () => {
    using bench = new Bench();
    const list = bench.eventfds(4);
    expect(bench.set(fds(msi, "trigger", [list[0]!, 999_999]))).toBe("EBADF");
    expect(bench.set(none(msi, "trigger", 0))).toBe("EINVAL");
    bench.set(fds(msi, "trigger", list));
    expect(bench.set(fds(msi, "trigger", [list[3]!, 999_999], 1))).toBe("EBADF");
    expect([0, 1, 2, 3].map((vector) => bench.device.raise(msi, vector))).toEqual([true, false, false, true]);
    expect(drained(list)).toEqual([1, 0, 0, 1]);
  });
});

describe("MSI-X", () => {
  test("grows while it is on, where the host can", () => {
    using bench = new Bench();
    const list = bench.eventfds(2);
    bench.set(fds(msix, "trigger", [list[0]!]));
    expect(bench.set(fds(msix, "trigger", [list[1]!], 6))).toBe(fine);
    bench.device.raise(msix, 6);
    expect(drained(list)).toEqual([0, 1]);
  });

  test("does not grow where the host cannot", () => {
    using bench = new Bench({ ...shape, msix: { ...shape.msix!, noResize: true } });
    const list = bench.eventfds(2);
    bench.set(fds(msix, "trigger", [list[0]!, -1]));
    expect(bench.set(fds(msix, "trigger", [list[1]!], 1))).toBe(fine);
    expect(bench.set(fds(msix, "trigger", [list[1]!], 6))).toBe("EINVAL");
    expect(bench.set(fds(msix, "trigger", [-1], 6))).toBe(fine);
  });

  test("a vector that nobody asked for is masked: it waits in the PBA until somebody does", () => {
    using bench = new Bench();
    const list = bench.eventfds(2);
    const pba = (): number => {
      const byte = new Uint8Array(new ArrayBuffer(1));
      bench.device.read(0, 0x3000, byte);
      return byte[0]!;
    };
    bench.set(fds(msix, "trigger", [list[0]!]));
    expect([bench.device.raise(msix, 5), bench.device.raise(msix, 5), pba()]).toEqual([true, true, 0x20]);
    bench.set(fds(msix, "trigger", [list[1]!], 5));
    expect([drained(list), pba()]).toEqual([[0, 1], 0]);
    expect(bench.device.raise(msix, 8)).toBe(false);
  });
});
