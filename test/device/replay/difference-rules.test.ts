// Why a replayed guest may read something else than the recorded one did.
import { describe, expect, test } from "bun:test";
import { accessWidth } from "../../../src/device/replay/replay.ts";
import type { DeviceImage } from "../../../src/image/index.ts";
import { layoutOf } from "../../../src/regs/index.ts";
import { imageOf, linesOf, run, trace, unexplained } from "../../support/replayed.ts";
import { at, syntheticImage } from "../../support/synthetic-image.ts";

describe("rules, one by one", () => {
  const pm = (patch: (config: Uint8Array) => void): DeviceImage =>
    syntheticImage({ bars: { 0: { size: 0x1000 } }, pm: true, patch });

  test("host-virtual: vfio-pci keeps wake-up events for itself", () => {
    const image = pm((config) => (config[at.pm + 3] = 0x78));
    const word = (value: number): string => `read 0x${(at.pm + 2).toString(16)} 0x${value.toString(16)}`;
    const report = run(image, trace(word(0x7803), word(0xf803), word(0x7802)));
    expect(linesOf(report, "host-virtual")).toEqual([1]);
    // Not what the device has; and a bit that the host shows as it is.
    expect(linesOf(report, undefined)).toEqual([2, 3]);
  });

  test("recorded-later: only until the guest writes", () => {
    const image = pm((config) => (config[0x0c] = 0x10));
    const report = run(image, trace("read 0xc 0x0", "write 0xc 0x20", "read 0xc 0x20", "read 0xc 0x0"));
    expect(linesOf(report, "recorded-later")).toEqual([1]);
    expect(linesOf(report, undefined)).toEqual([4]);
  });

  test("patched-bit: the multi-function bit alone", () => {
    const report = run(
      pm(() => {}),
      trace("read 0xe 0x0", "read 0xe 0x40"),
      { multiFunction: true },
    );
    expect(linesOf(report, "patched-bit")).toEqual([1]);
    expect(linesOf(report, undefined)).toEqual([2]);
  });

  test("msix-relocated: table and PBA registers, and the BAR that grew", () => {
    const image = syntheticImage({
      bars: { 0: { size: 0x1000 } },
      msix: { vectors: 2, table: [0, 0x800], pba: [0, 0xc00] },
    });
    const registers = ["read 0x74 0x800", "read 0x78 0xc00", "read 0x72 0x1"];
    const sizing = ["write 0x10 0xffffffff", "read 0x10 0xfffff000"];
    const report = run(image, trace(...registers, ...sizing));
    expect(report.attached.msix!.relocated).toBe(true);
    expect(linesOf(report, "msix-relocated")).toEqual([1, 2]);
    expect(linesOf(report, "bar-address")).toEqual([5]);
    expect(unexplained(report)).toEqual([]);
    expect(linesOf(run(image, trace(...registers), { msixRelocation: "never" }), "msix-relocated")).toEqual(
      [],
    );
  });

  test("bar-address: not the kind of a BAR, and no BAR that is not there", () => {
    const report = run(
      pm(() => {}),
      trace("read 0x10 0xd0000000", "read 0x10 0xd0000008", "read 0x14 0xd0000000"),
    );
    expect(linesOf(report, "bar-address")).toEqual([1]);
    expect(linesOf(report, undefined)).toEqual([2, 3]);
  });

  test("an access past config space reads ones", () => {
    const image = syntheticImage({ bars: { 0: { size: 0x1000 } }, configSize: 256 });
    const report = run(image, trace("read 0x100 0xffffffff", "read 0x100 0x10001"));
    expect(linesOf(report, undefined)).toEqual([2]);
    expect(report.events).toEqual([]);
  });
});

test("widths: the register's own, more where the value needs it, never across a dword", () => {
  const layout = layoutOf(imageOf("nvme").config);
  const width = (line: string): number => accessWidth(layout, trace(line)[0]!);
  expect(width("read 0x0 0x36")).toBe(2);
  expect(width("read 0x0 0x101b36")).toBe(4);
  expect(width("read 0x4 0x7")).toBe(2);
  expect(width("read 0x10 0x4")).toBe(4);
  expect(width("read 0x34 0x40")).toBe(1);
  expect(width("read 0x41 0x80")).toBe(1);
  expect(width("read 0x42 0x40")).toBe(2);
  expect(width("read 0xa 0x108")).toBe(2);
  expect(width("read 0x3d 0x1")).toBe(1);
  expect(width("read 0x200 0x1")).toBe(1);
});
