// machines: (intel, none)
// takes: 60 s
// What an access costs, counted by strace: not by what the library says of itself, which is compared with it.
import { beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../support/tree.ts";
import { vfioRequest } from "../../../src/regs/ioctl/index.ts";
import { hasIommu, deviceNames, take, type DeviceName } from "./support/devices.ts";
import { ways } from "./support/apis.ts";
import {
  differences,
  isRequest,
  strace,
  tally,
  withoutRuntime,
  type OwnCall,
  type StraceCall,
  type Traced,
} from "./support/strace.ts";

interface Answer {
  readonly own: readonly OwnCall[];
  /** Of nvme. */
  readonly vectors: number;
  /** What the reference asks of each device until a guest sees it. */
  readonly bounds: Readonly<Record<DeviceName, number>>;
}

/** The rows of the table in docs/benchmarks.md, by device: its cells, by way. */
function documented(): Map<string, Map<string, string>> {
  const lines = readFileSync(join(root, "docs/benchmarks.md"), "utf8").split("\n");
  const first = lines.findIndex((line) => /^\| device +\| type1v2/.test(line));
  const cells = (line: string): string[] =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim());
  const [, ...names] = cells(lines[first]!);
  const rows = new Map<string, Map<string, string>>();
  for (const line of lines.slice(first + 2)) {
    if (!line.startsWith("|")) break;
    const [device, ...values] = cells(line);
    rows.set(device!, new Map(names.map((name, i) => [name, values[i]!])));
  }
  return rows;
}

for (const name of deviceNames) take(name);
const program = join(import.meta.dir, "support/counted-accesses.ts");

for (const way of ways)
  describe(way.name, () => {
    let traced: readonly Traced<StraceCall>[];
    let own: readonly Traced<OwnCall>[];
    let answer: Answer;
    beforeAll(async () => {
      ({
        strace: traced,
        own,
        answer,
      } = await strace<Answer>(program, way.name, ...(way === ways[0] ? ["accesses"] : [])));
    }, 120_000);
    const callsOf = (name: string): readonly StraceCall[] => {
      const piece = traced.find((one) => one.name === name);
      if (!piece) throw new Error(`no mark "${name}"`);
      return withoutRuntime(piece.calls);
    };
    const tallyOf = (name: string): string => tally(callsOf(name));

    test("until a guest sees a device, it is asked less than the reference asks it", () => {
      const requests = [
        vfioRequest.DEVICE_GET_INFO,
        vfioRequest.DEVICE_GET_REGION_INFO,
        vfioRequest.DEVICE_GET_IRQ_INFO,
      ];
      for (const name of deviceNames) {
        const asked = [...callsOf(`${name} open`), ...callsOf(`${name} attach`)].filter(
          (call) => call.name === "pread64" || requests.some((request) => isRequest(call, request)),
        );
        expect([name, asked.length, asked.length <= answer.bounds[name]]).toEqual([name, asked.length, true]);
      }
    });

    test("opening, attaching and detaching cost what docs/benchmarks.md says", () => {
      const rows = documented();
      const cells = deviceNames.map((name) => {
        const parts = ["open", "attach", "detach"].map((part) => callsOf(`${name} ${part}`).length);
        return [name, parts.join(" / ")];
      });
      expect(cells).toEqual(deviceNames.map((name) => [name, rows.get(name)?.get(way.name) ?? "no row"]));
    });

    test("the library's own trace has every call that strace sees", () => {
      expect(own.map(({ name }) => name)).toEqual(traced.map(({ name }) => name));
      expect(traced.flatMap((piece, i) => differences(piece, own[i]!))).toEqual([]);
      // And it is no comparison of nothing with nothing.
      expect(own.flatMap(({ calls }) => calls).length).toBeGreaterThan(300);
    });

    // Whichever way a device was opened, its accesses are the same code: once is enough.
    if (way !== ways[0]) return;
    test("a config read asks the device once at most, and not for what is emulated", () => {
      const reads = traced.filter(({ name }) => name.startsWith("config read "));
      expect(reads.length).toBe(1024);
      const kinds = reads.map(({ calls }) => tally(withoutRuntime(calls)));
      expect([...new Set(kinds)].sort()).toEqual(["", "pread64 1"]);
      // COMMAND and STATUS, of which the device changes bits by itself.
      expect(kinds[1]).toBe("pread64 1");
      expect(tallyOf("emulated reads")).toBe("");
    });

    test("a config write is one write to the device, or none where the register is emulated", () => {
      expect(tallyOf("config writes")).toBe("pwrite64 100");
      expect(tallyOf("emulated writes")).toBe("");
    });

    test("a trapped access to a BAR is one read or write, with INTx in use too", () => {
      expect(tallyOf("trapped reads")).toBe("pread64 100");
      expect(tallyOf("trapped writes")).toBe("pwrite64 100");
      expect(tallyOf("INTx in use: trapped accesses")).toBe("pread64 1, pwrite64 2");
    });

    test("a guest that enables MSI-X makes one SET_IRQS for all vectors, after INTx is off", () => {
      const setIrqs = (name: string): number =>
        callsOf(name).filter((call) => isRequest(call, vfioRequest.DEVICE_SET_IRQS)).length;
      const others = (name: string): string =>
        tally(callsOf(name).filter((call) => !isRequest(call, vfioRequest.DEVICE_SET_IRQS)));
      // The virtual machine in memory looks, by ppoll, for what waits in the eventfds that it makes.
      const { vectors } = answer;
      expect(vectors).toBe(65);
      expect(tallyOf("MSI-X table writes")).toBe("");
      expect([setIrqs("MSI-X on"), others("MSI-X on")]).toEqual([
        2,
        `eventfd2 ${vectors}, ppoll ${vectors + 1}`,
      ]);
      expect([setIrqs("MSI-X on, masked"), others("MSI-X on, masked")]).toEqual([2, "ppoll 1"]);
      // All come into use by one write.
      expect([setIrqs("MSI-X first unmasked"), others("MSI-X first unmasked")]).toEqual([
        1,
        `ppoll ${vectors}`,
      ]);
      for (const name of ["MSI-X all masked", "MSI-X all unmasked"])
        expect([setIrqs(name), others(name)]).toEqual([0, `ppoll ${vectors}`]);
    });
  });

test("there are ways to count", () => expect(ways.length).toBe(hasIommu ? 4 : 1));
