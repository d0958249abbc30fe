// Recorded guests on recorded devices: they read what they read then, but for what the model changes by rule.
import { describe, expect, test } from "bun:test";
import type { ReplayReport } from "../../../src/device/replay/replay.ts";
import { layoutOf } from "../../../src/regs/index.ts";
import { imageNames, imageOf, names, run, trace, traceOf, unexplained } from "../../support/replayed.ts";
import { syntheticImage } from "../../support/synthetic-image.ts";

const reports = new Map(names.map((name) => [name, run(imageOf(name), traceOf(name))]));
const reportOf = (name: string): ReplayReport => reports.get(name)!;

test("there is a trace for each recorded device", () => {
  expect(names).toEqual(imageNames);
  expect(names).toHaveLength(9);
});

describe.each(names)("%s", (name) => {
  const { attached, reads, writes, differences, counts, mostReadsPerAccess, events } = reportOf(name);
  const { config } = imageOf(name);

  test("every access is replayed, and every difference has a rule", () => {
    expect(reads + writes).toBe(traceOf(name).length);
    expect(differences.filter(({ rule }) => rule === undefined)).toEqual([]);
    expect(events).toEqual([]);
  });

  test("differences are where their rules say", () => {
    const gone = attached.patches.filter(({ kind }) => kind !== "bit");
    for (const { rule, offset, width, recorded, seen } of differences) {
      const changed = (recorded ^ seen) >>> 0;
      if (rule === "bar-address") {
        const bar = attached.bars.find(
          ({ region, kind }) => (kind === "rom" ? 0x30 : 0x10 + 4 * region) === (offset & 0xfc),
        );
        const upper = attached.bars.find(
          ({ region, kind }) => kind === "memory64" && 0x14 + 4 * region === (offset & 0xfc),
        );
        expect(bar ?? upper).toBeDefined();
        // All below the size is the device's: the kind of the BAR, and the zeros by which it is sized.
        if (bar) expect((changed << (8 * (offset & 3))) & (bar.physicalSize - 1)).toBe(0);
      } else if (rule === "hidden-capability")
        expect(
          gone.some((patch) => offset < patch.offset + patch.size && patch.offset < offset + width),
        ).toBe(true);
      else if (rule === "recorded-later") {
        const view = new DataView(config.buffer, config.byteOffset + offset, width);
        expect(seen).toBe(
          width === 4 ? view.getUint32(0, true) : width === 2 ? view.getUint16(0, true) : view.getUint8(0),
        );
      } else throw new Error(`${rule} has nothing to do with this device`);
    }
  });

  test("it takes at most one read of the device an access", () => {
    expect(mostReadsPerAccess).toBe(1);
    expect(counts.configReads).toBeGreaterThan(0);
    expect(counts.configReads).toBeLessThan(reads);
  });
});

describe("reads of the device a config read of the guest, all guests together", () => {
  // nvme's ends with a dump of all 4096 bytes, most of which are the device's own: nobody describes them.
  const whole = traceOf("nvme");
  const sweep = whole.findLastIndex(({ kind, offset }) => kind === "read" && offset === 0);
  const share = (nvme: ReplayReport): number => {
    const all = names.map((name) => (name === "nvme" ? nvme : reportOf(name)));
    const reads = all.reduce((sum, report) => sum + report.reads, 0);
    return all.reduce((sum, { counts }) => sum + counts.configReads, 0) / reads;
  };

  test("are at most 0.14 of what drivers and the guest's system read", () => {
    expect(whole.length - sweep).toBe(1024);
    expect(share(run(imageOf("nvme"), whole.slice(0, sweep)))).toBeLessThanOrEqual(0.14);
  });
  test("are at most 0.40 with a dump of everything", () => {
    expect(share(reportOf("nvme"))).toBeLessThanOrEqual(0.4);
  });
});

test("the rules that the recorded guests need", () => {
  const used: Record<string, string[]> = {};
  for (const [name, { differences }] of reports)
    for (const rule of new Set(differences.map((difference) => difference.rule)))
      (used[String(rule)] ??= []).push(name);
  expect(used).toEqual({ "bar-address": names, "hidden-capability": ["igb"], "recorded-later": ["xhci"] });
});

describe("what the guest set off", () => {
  const stepsOf = (name: string): string[] => reportOf(name).steps.map(({ line, what }) => `${line} ${what}`);

  test("nvme: BAR0 comes and goes with memory decoding, apart from its MSI-X pages; MSI-X comes on", () => {
    const { final } = reportOf("nvme");
    expect(stepsOf("nvme")).toEqual([
      "45 BAR0 decodes 0xfd200000-0xfd203fff",
      "45 BAR0 mapped 0xfd200000-0xfd201fff in memory slot 0",
      "51 bus master on",
      ...[79, 88, 90, 95, 97, 102, 104, 109, 111, 116, 118, 123].map((line, i) =>
        i % 2 === 0 ? `${line} BAR0 stops decoding` : `${line} BAR0 decodes there again`,
      ),
      "252 interrupts: MSI-X",
      "290 interrupts: INTx",
      "295 interrupts: MSI-X",
    ]);
    expect(final.interrupts).toMatchObject({ mode: "MSI-X", intx: "resample", msixVectors: 65 });
    expect(final.bars).toMatchObject([{ region: 0, address: 0xfd200000, base: 0xfd200000, size: 0x4000 }]);
    // Pages 2 and 3 hold the table and the PBA.
    expect(final.bars[0]!.mapped).toMatchObject([{ gpa: 0xfd200000, offset: 0, size: 0x2000, peer: true }]);
    expect(final.msix).toMatchObject({
      relocated: false,
      guest: { vectors: 65, table: { region: 0, offset: 0x2000 }, pba: { region: 0, offset: 0x3000 } },
    });
  });

  test("attached: nothing decodes, nothing is mapped, also when looked at afterwards", () => {
    for (const { attached } of reports.values()) {
      expect(attached.command).toBe(0);
      expect(attached.bars.map(({ base, mapped }) => [base, mapped])).toEqual(
        attached.bars.map(() => [undefined, []]),
      );
    }
  });

  test("igb: four BARs at once, told once; ARI and SR-IOV hidden", () => {
    expect(stepsOf("igb").slice(0, 10)).toEqual([
      "48 BAR0 decodes 0xfce00000-0xfce1ffff",
      "48 BAR0 mapped 0xfce00000-0xfce1ffff in memory slot 0",
      "48 BAR1 decodes 0xfce20000-0xfce3ffff",
      "48 BAR1 mapped 0xfce20000-0xfce3ffff in memory slot 1",
      "48 BAR2 decodes 0x3000-0x301f",
      "48 BAR3 decodes 0xfce40000-0xfce43fff",
      "48 BAR3 mapped 0xfce41000-0xfce41fff in memory slot 2",
      "48 BAR3 mapped 0xfce43000-0xfce43fff in memory slot 3",
      "85 BAR0, BAR1, BAR2, BAR3 stop decoding",
      "90 BAR0, BAR1, BAR2, BAR3 decode there again",
    ]);
    const { capabilities } = reportOf("igb").attached;
    expect(capabilities.filter(({ hidden }) => hidden).map(({ name }) => name)).toEqual(["ARI", "SR-IOV"]);
  });

  test("MSI-X is on at the end where the recorded driver turned it on; INTx stays where there is a pin", () => {
    const modes = names.map((name) => [name, reportOf(name).final.interrupts.mode]);
    const expected = names.map((name) => {
      const { config } = imageOf(name);
      const msix = layoutOf(config).capabilities.find(({ id, extended }) => id === 0x11 && !extended);
      const last = traceOf(name).findLast(
        ({ kind, offset }) => kind === "write" && offset === (msix?.offset ?? 0) + 2,
      );
      return [name, last && last.value & 0x8000 ? "MSI-X" : config[0x3d] === 0 ? "none" : "INTx"];
    });
    expect(modes).toEqual(expected);
    expect(new Set(modes.map(([, mode]) => mode))).toEqual(new Set(["MSI-X", "INTx", "none"]));
    expect(reportOf("nvme").final.command & 0x400).toBe(0x400);
  });

  test("a BAR that comes back elsewhere is told in full", () => {
    const { steps } = run(
      syntheticImage({ bars: { 0: { size: 0x1000 } } }),
      trace(
        "write 0x10 0xd0000000",
        "write 0x4 0x102",
        "write 0x4 0x100",
        "write 0x10 0xd0001000",
        "write 0x4 0x102",
      ),
    );
    expect(steps.map(({ what }) => what)).toEqual([
      "BAR0 decodes 0xd0000000-0xd0000fff",
      "BAR0 mapped 0xd0000000-0xd0000fff in memory slot 0",
      "BAR0 stops decoding",
      "BAR0 decodes 0xd0001000-0xd0001fff",
      "BAR0 mapped 0xd0001000-0xd0001fff in memory slot 0",
    ]);
  });
});

describe("a wrong recording shows", () => {
  const identity = [0x00, 0x02, 0x08, 0x09, 0x0a, 0x0b, 0x2c, 0x2e];

  test.each(names)("%s: one flipped bit of any identification byte", (name) => {
    const image = imageOf(name);
    const accesses = traceOf(name);
    for (const [i, offset] of identity.entries()) {
      const config = image.config.slice();
      config[offset]! ^= 1 << i;
      const found = unexplained(run({ ...image, config }, accesses));
      expect(found.length).toBeGreaterThan(0);
      for (const difference of found) {
        expect(difference.offset).toBeLessThanOrEqual(offset);
        expect(difference.offset + difference.width).toBeGreaterThan(offset);
      }
    }
  });

  test("a BAR of another size, though its address may differ", () => {
    const image = imageOf("nvme");
    const regions = image.regions.map((region) =>
      region.index === 0 ? { ...region, size: 0x8000 } : region,
    );
    expect(unexplained(run({ ...image, regions }, traceOf("nvme")))).toMatchObject(
      [14, 82].map((line) => ({ line, offset: 0x10, recorded: 0xffffc004, seen: 0xffff8004 })),
    );
  });

  test("bits that the device keeps", () => {
    // Those whose guests wrote such bits and read them back.
    for (const name of ["e1000e", "igb", "nvme", "virtio-blk", "virtio-net", "xhci"]) {
      const { readOnlyBits: _, ...image } = imageOf(name);
      expect(unexplained(run(image, traceOf(name))).length).toBeGreaterThan(0);
    }
    const { readOnlyBits: _, ...image } = imageOf("nvme");
    expect(unexplained(run(image, traceOf("nvme")))[0]).toMatchObject({
      offset: 0x88,
      recorded: 0,
      seen: 0x100,
    });
  });
});
