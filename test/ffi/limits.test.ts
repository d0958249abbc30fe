import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { getLimit, lockedMemory, pageSize } from "../../src/ffi/index.ts";
import { parseLocked } from "../../src/ffi/limits.ts";

/** What the shell says of a limit. */
const shell = (option: string): number => {
  const text = Bun.spawnSync(["bash", "-c", `ulimit ${option}`])
    .stdout.toString()
    .trim();
  return text === "unlimited" ? Infinity : Number(text);
};

describe("limits", () => {
  test("are those that the shell knows", () => {
    expect(getLimit("NOFILE")).toEqual({ soft: shell("-Sn"), hard: shell("-Hn") });
    expect(getLimit("MEMLOCK")).toEqual({ soft: shell("-Sl") * 1024, hard: shell("-Hl") * 1024 });
  });

  test("are lowered, raised again up to the hard limit, and refused above it", () => {
    // In a process of its own: it keeps what it changes.
    const program = `
      import { getLimit, setSoftLimit } from ${JSON.stringify(join(import.meta.dir, "../../src/ffi/index.ts"))};
      const shown = () => console.log(JSON.stringify(getLimit("MEMLOCK")));
      setSoftLimit("MEMLOCK", 65536);
      shown();
      setSoftLimit("MEMLOCK", 131072);
      shown();
      for (const soft of [131073, Infinity])
        try { setSoftLimit("MEMLOCK", soft); } catch ({ code, message, hint }) { console.log(code, message, hint); }
      for (const soft of [-1, 0.5, NaN])
        try { setSoftLimit("MEMLOCK", soft); } catch ({ name }) { console.log(name); }
    `;
    const command = `ulimit -l 128; exec "$0" -e "$1"`;
    const run = Bun.spawnSync(["bash", "-c", command, process.execPath, program], { stderr: "pipe" });
    const hint = "The hard limit is 131072; only a process with CAP_SYS_RESOURCE raises that.";
    expect(run.stdout.toString().split("\n")).toEqual([
      '{"soft":65536,"hard":131072}',
      '{"soft":131072,"hard":131072}',
      `EINVAL the limit of locked memory, 131073: prlimit64 fails with EINVAL ${hint}`,
      `EINVAL the limit of locked memory, Infinity: prlimit64 fails with EINVAL ${hint}`,
      "RangeError",
      "RangeError",
      "RangeError",
      "",
    ]);
  });
});

describe("locked memory", () => {
  test("is what the kernel counts, with the right not to be limited", () => {
    const status = "Name:\tbun\nVmLck:\t     132 kB\nVmPin:\t      8 kB\nCapEff:\t0000000000004000\n";
    expect(parseLocked(status)).toEqual({ locked: 132 * 1024, pinned: 8192, exempt: true });
    expect(parseLocked(status.replace("4000", "bfff"))).toMatchObject({ exempt: false });
    expect(parseLocked("")).toEqual({ locked: 0, pinned: 0, exempt: false });
  });

  test("of this process has its limit", () => {
    expect(lockedMemory()).toMatchObject(getLimit("MEMLOCK"));
    expect(lockedMemory().locked % pageSize()).toBe(0);
  });
});

test("the page size is the system's", () => {
  expect(pageSize()).toBe(Number(Bun.spawnSync(["getconf", "PAGESIZE"]).stdout.toString()));
});
