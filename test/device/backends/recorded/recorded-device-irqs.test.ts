// VFIO_DEVICE_SET_IRQS and interrupts through RecordedDevice, against facts of vfio_pci_intrs.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync } from "node:fs";
import { Eventfd } from "../../../../src/ffi/eventfd.ts";
import {
  Bench,
  bool,
  drained,
  error,
  fds,
  fine,
  intx,
  msi,
  msix,
  none,
  request,
} from "../../../support/irq-bench.ts";

describe("requests that make no sense are refused", () => {
  test("index, start and count", () => {
    using bench = new Bench();
    const [a] = bench.eventfds(1);
    for (const irqs of [
      none(5, "trigger"),
      none(-1, "trigger"),
      fds(msix, "trigger", [a!], 8),
      fds(msix, "trigger", [a!], -1),
      fds(msix, "trigger", [a!], 0.5),
      fds(msix, "trigger", [-1, -1], 7),
      fds(intx, "trigger", [a!], 1),
      fds(intx, "trigger", [-1, -1]),
      fds(intx, "trigger", []),
      fds(error, "trigger", []),
      fds(error, "trigger", [-2]),
      fds(request, "trigger", [-2]),
      none(msi, "trigger", 5),
    ])
      expect(bench.set(irqs)).toBe("EINVAL");
    expect(bench.device.accesses.setIrqs).toBe(0);
  });

  test("kinds that the device does not have", () => {
    using bench = new Bench({ pin: 0 });
    for (const index of [intx, msi, msix]) expect(bench.set(none(index, "trigger", 0))).toBe("EINVAL");
  });

  test("masking of anything but INTx, and by eventfd even there", () => {
    using bench = new Bench();
    const a = bench.one();
    for (const index of [msi, msix, error, request])
      for (const action of ["mask", "unmask"] as const) expect(bench.set(none(index, action))).toBe("ENOTTY");
    expect(bench.set(none(intx, "mask"))).toBe("EINVAL");
    expect(bench.set(fds(intx, "trigger", [a]))).toBe(fine);
    expect(bench.set(fds(intx, "mask", [a]))).toBe("ENOTTY");
    expect(bench.set(none(intx, "mask", 0))).toBe("EINVAL");
  });

  test("a second kind while one is on", () => {
    using bench = new Bench();
    const a = bench.one();
    const kinds = [intx, msi, msix];
    for (const on of kinds) {
      expect(bench.set(fds(on, "trigger", [a]))).toBe(fine);
      for (const other of kinds.filter((index) => index !== on)) {
        expect(bench.set(fds(other, "trigger", [a]))).toBe("EINVAL");
        expect(bench.set(none(other, "trigger", 0))).toBe("EINVAL");
      }
      expect(bench.set(none(on, "trigger", 0))).toBe(fine);
      // Off already.
      expect(bench.set(none(on, "trigger", 0))).toBe("EINVAL");
    }
  });

  test("a trigger where nothing is on, and no vectors at all", () => {
    using bench = new Bench();
    for (const index of [intx, msi, msix, error]) expect(bench.set(none(index, "trigger"))).toBe("EINVAL");
    for (const index of [intx, msi, msix]) expect(bench.set(bool(index, "trigger", [true]))).toBe("EINVAL");
    expect(bench.set(bool(request, "trigger", [true]))).toBe(fine);
    expect(bench.set(fds(msix, "trigger", []))).toBe("ERANGE");
  });

  test("descriptors that are not open, or not of an eventfd", () => {
    using bench = new Bench();
    const file = openSync("/dev/null", "r");
    for (const index of [intx, msi, msix, error, request]) {
      expect(bench.set(fds(index, "trigger", [999_999]))).toBe("EBADF");
      expect(bench.set(fds(index, "trigger", [file]))).toBe("EINVAL");
    }
    closeSync(file);
    // Nothing was left on.
    expect(bench.set(fds(intx, "trigger", [bench.one()]))).toBe(fine);
  });
});

describe("errors and removal requests", () => {
  test("have an eventfd each, beside whatever else is on", () => {
    using bench = new Bench();
    const [a, b, c] = bench.eventfds(3) as [Eventfd, Eventfd, Eventfd];
    bench.set(fds(msix, "trigger", [a]));
    bench.set(fds(error, "trigger", [b]));
    bench.set(fds(request, "trigger", [c]));
    bench.device.raise(error, 0);
    bench.device.raise(request, 0);
    bench.set(none(error, "trigger"));
    bench.set(bool(request, "trigger", [true]));
    bench.set(bool(request, "trigger", [false]));
    expect(drained([a, b, c])).toEqual([0, 2, 2]);
    bench.set(none(error, "trigger", 0));
    bench.set(fds(request, "trigger", [-1]));
    expect([bench.device.raise(error, 0), bench.device.raise(request, 0)]).toEqual([false, false]);
    expect(bench.set(none(error, "trigger", 0))).toBe("EINVAL");
    bench.set(fds(error, "trigger", [b]));
    bench.set(fds(error, "trigger", [c]));
    bench.device.raise(error, 0);
    expect(drained([b, c])).toEqual([0, 1]);
  });
});

describe("eventfds", () => {
  test("are held: the user may close its own", () => {
    using bench = new Bench();
    const mine = new Eventfd();
    using watched = new Eventfd(mine.fd);
    bench.set(fds(msix, "trigger", [mine]));
    mine[Symbol.dispose]();
    bench.device.raise(msix, 0);
    expect(watched.drain()).toBe(1);
  });

  test("are given back, whatever was done with them", () => {
    const open = (): number => readdirSync("/proc/self/fd").length;
    const before = open();
    {
      using bench = new Bench();
      const list = bench.eventfds(4);
      bench.set(fds(intx, "trigger", [list[0]!]));
      bench.set(fds(intx, "trigger", [list[1]!]));
      bench.set(fds(intx, "unmask", [list[2]!]));
      bench.set(fds(intx, "unmask", [list[3]!]));
      bench.set(none(intx, "trigger", 0));
      bench.set(fds(msi, "trigger", [list[0]!, 999_999]));
      bench.set(fds(msi, "trigger", list));
      bench.set(fds(msi, "trigger", list));
      bench.set(none(msi, "trigger", 0));
      bench.set(fds(msix, "trigger", list, 2));
      for (const index of [error, request]) {
        bench.set(fds(index, "trigger", [list[0]!]));
        bench.set(fds(index, "trigger", [list[1]!]));
      }
    }
    expect(open()).toBe(before);
  });

  test("stay through a reset; what the device was about to say does not", () => {
    using bench = new Bench();
    const a = bench.one();
    bench.set(fds(intx, "trigger", [a]));
    bench.set(none(intx, "mask"));
    bench.device.raise(intx, 0);
    bench.device.reset();
    bench.set(none(intx, "unmask"));
    expect(a.drain()).toBe(0);
    bench.device.raise(intx, 0);
    expect(a.drain()).toBe(1);
  });
});

test("an interrupt of a kind that is not on is lost, and counted", () => {
  using bench = new Bench();
  for (const index of [intx, msi, msix, error, request, 7]) expect(bench.device.raise(index, 0)).toBe(false);
  expect(bench.device.lost).toBe(6);
});
