// VFIO_DEVICE_SET_IRQS and interrupts through RecordedDevice, against facts of vfio_pci_intrs.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync } from "node:fs";
import { Eventfd } from "../../../../src/ffi/eventfd.ts";
import {
  IrqFixture,
  bool,
  drained,
  error,
  fds,
  noError,
  intx,
  msi,
  msix,
  none,
  request,
} from "../../../support/irq-fixture.ts";

describe("requests that make no sense are refused", () => {
  test("index, start and count", () => {
    using fixture = new IrqFixture();
    const [a] = fixture.eventfds(1);
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
      expect(fixture.set(irqs)).toBe("EINVAL");
    expect(fixture.device.accesses.setIrqs).toBe(0);
  });

  test("kinds that the device does not have", () => {
    using fixture = new IrqFixture({ pin: 0 });
    for (const index of [intx, msi, msix]) expect(fixture.set(none(index, "trigger", 0))).toBe("EINVAL");
  });

  test("masking of anything but INTx, and by eventfd even there", () => {
    using fixture = new IrqFixture();
    const a = fixture.eventfd();
    for (const index of [msi, msix, error, request])
      for (const action of ["mask", "unmask"] as const)
        expect(fixture.set(none(index, action))).toBe("ENOTTY");
    expect(fixture.set(none(intx, "mask"))).toBe("EINVAL");
    expect(fixture.set(fds(intx, "trigger", [a]))).toBe(noError);
    expect(fixture.set(fds(intx, "mask", [a]))).toBe("ENOTTY");
    expect(fixture.set(none(intx, "mask", 0))).toBe("EINVAL");
  });

  test("a second kind while one is on", () => {
    using fixture = new IrqFixture();
    const a = fixture.eventfd();
    const kinds = [intx, msi, msix];
    for (const on of kinds) {
      expect(fixture.set(fds(on, "trigger", [a]))).toBe(noError);
      for (const other of kinds.filter((index) => index !== on)) {
        expect(fixture.set(fds(other, "trigger", [a]))).toBe("EINVAL");
        expect(fixture.set(none(other, "trigger", 0))).toBe("EINVAL");
      }
      expect(fixture.set(none(on, "trigger", 0))).toBe(noError);
      // Off already.
      expect(fixture.set(none(on, "trigger", 0))).toBe("EINVAL");
    }
  });

  test("a trigger where nothing is on, and no vectors at all", () => {
    using fixture = new IrqFixture();
    for (const index of [intx, msi, msix, error]) expect(fixture.set(none(index, "trigger"))).toBe("EINVAL");
    for (const index of [intx, msi, msix]) expect(fixture.set(bool(index, "trigger", [true]))).toBe("EINVAL");
    expect(fixture.set(bool(request, "trigger", [true]))).toBe(noError);
    expect(fixture.set(fds(msix, "trigger", []))).toBe("ERANGE");
  });

  test("descriptors that are not open, or not of an eventfd", () => {
    using fixture = new IrqFixture();
    const file = openSync("/dev/null", "r");
    for (const index of [intx, msi, msix, error, request]) {
      expect(fixture.set(fds(index, "trigger", [999_999]))).toBe("EBADF");
      expect(fixture.set(fds(index, "trigger", [file]))).toBe("EINVAL");
    }
    closeSync(file);
    // Nothing was left on.
    expect(fixture.set(fds(intx, "trigger", [fixture.eventfd()]))).toBe(noError);
  });
});

describe("errors and removal requests", () => {
  test("have an eventfd each, beside whatever else is on", () => {
    using fixture = new IrqFixture();
    const [a, b, c] = fixture.eventfds(3) as [Eventfd, Eventfd, Eventfd];
    fixture.set(fds(msix, "trigger", [a]));
    fixture.set(fds(error, "trigger", [b]));
    fixture.set(fds(request, "trigger", [c]));
    fixture.device.raise(error, 0);
    fixture.device.raise(request, 0);
    fixture.set(none(error, "trigger"));
    fixture.set(bool(request, "trigger", [true]));
    fixture.set(bool(request, "trigger", [false]));
    expect(drained([a, b, c])).toEqual([0, 2, 2]);
    fixture.set(none(error, "trigger", 0));
    fixture.set(fds(request, "trigger", [-1]));
    expect([fixture.device.raise(error, 0), fixture.device.raise(request, 0)]).toEqual([false, false]);
    expect(fixture.set(none(error, "trigger", 0))).toBe("EINVAL");
    fixture.set(fds(error, "trigger", [b]));
    fixture.set(fds(error, "trigger", [c]));
    fixture.device.raise(error, 0);
    expect(drained([b, c])).toEqual([0, 1]);
  });
});

describe("eventfds", () => {
  test("are held: the user may close its own", () => {
    using fixture = new IrqFixture();
    const mine = new Eventfd();
    using watched = new Eventfd(mine.fd);
    fixture.set(fds(msix, "trigger", [mine]));
    mine[Symbol.dispose]();
    fixture.device.raise(msix, 0);
    expect(watched.drain()).toBe(1);
  });

  test("are given back, whatever was done with them", () => {
    const open = (): number => readdirSync("/proc/self/fd").length;
    const before = open();
    {
      using fixture = new IrqFixture();
      const list = fixture.eventfds(4);
      fixture.set(fds(intx, "trigger", [list[0]!]));
      fixture.set(fds(intx, "trigger", [list[1]!]));
      fixture.set(fds(intx, "unmask", [list[2]!]));
      fixture.set(fds(intx, "unmask", [list[3]!]));
      fixture.set(none(intx, "trigger", 0));
      fixture.set(fds(msi, "trigger", [list[0]!, 999_999]));
      fixture.set(fds(msi, "trigger", list));
      fixture.set(fds(msi, "trigger", list));
      fixture.set(none(msi, "trigger", 0));
      fixture.set(fds(msix, "trigger", list, 2));
      for (const index of [error, request]) {
        fixture.set(fds(index, "trigger", [list[0]!]));
        fixture.set(fds(index, "trigger", [list[1]!]));
      }
    }
    expect(open()).toBe(before);
  });

  test("stay through a reset; what the device was about to say does not", () => {
    using fixture = new IrqFixture();
    const a = fixture.eventfd();
    fixture.set(fds(intx, "trigger", [a]));
    fixture.set(none(intx, "mask"));
    fixture.device.raise(intx, 0);
    fixture.device.reset();
    fixture.set(none(intx, "unmask"));
    expect(a.drain()).toBe(0);
    fixture.device.raise(intx, 0);
    expect(a.drain()).toBe(1);
  });
});

test("an interrupt of a kind that is not on is lost, and counted", () => {
  using fixture = new IrqFixture();
  for (const index of [intx, msi, msix, error, request, 7])
    expect(fixture.device.raise(index, 0)).toBe(false);
  expect(fixture.device.lost).toBe(6);
});
