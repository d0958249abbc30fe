// machines: [musl]
// takes: 150 s
// The unit tests of the floors that call the C library, under Bun with musl, which this machine runs in place of glibc's.
import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
// Refuses to run on a host.
import "./support/devices.ts";

test("this Bun is musl's", () => {
  expect(readFileSync("/proc/self/maps", "latin1")).toContain("/lib/ld-musl-x86_64.so.1");
});

const folders = ["ffi", "kvm"];
/** The guest has busybox's shell in place of bash, and no getconf. */
const without = "^(?!the page size is the system's)";
writeFileSync("/bin/bash", '#!/bin/sh\nexec /bin/sh "$@"\n', { mode: 0o755 });

test(`the unit tests of ${folders.join(", ")}`, async () => {
  const files = folders.map((folder) => `./test/${folder}`);
  const child = Bun.spawn([process.execPath, "test", "--timeout=600000", "-t", without, ...files], {
    env: { ...process.env, BUN_VFIO_VM: "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said = await child.stderr.text();
  const lines = said
    .split("\n")
    .filter((line) => /^\(fail\)|^ *\d+ (?:pass|skip|fail)|^error|^Ran/.test(line));
  console.log(lines.slice(-60).join("\n"));
  expect([await child.exited, / 0 fail$/m.test(said)]).toEqual([0, true]);
});
