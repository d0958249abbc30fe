// machines: (vmm)
// takes: 20 s
// What can be wrong is said in a line or two, with the next step, before anything runs.
import { afterAll, expect, test } from "bun:test";
import { renameSync } from "node:fs";
import { bindTo, find, take } from "./support/devices.ts";
import { kernel, startExample } from "./support/nested-linux.ts";

const nvme = find("nvme");
afterAll(() => bindTo(nvme, undefined));

const cases: [name: string, words: string[], status: number, said: RegExp][] = [
  ["a kernel that is not there", ["--kernel", "nothing"], 1, /^vmm: ENOENT.*'nothing'$/],
  [
    "a file that is no kernel",
    ["--kernel", "/bin/busybox"],
    1,
    /\/bin\/busybox: this is no bzImage.*\n.*vmlinuz/,
  ],
  [
    "too little memory",
    ["--kernel", kernel, "--memory", "64M"],
    1,
    /do not fit into 64 MiB.*\n.*more memory: \d+ MiB/,
  ],
  ["a device that is not there", ["--kernel", kernel, "--device", "0000:55:00.0"], 1, /0000:55:00\.0/],
  ["a device of another driver", ["--kernel", kernel, "--device", nvme], 1, /vfio-pci/],
  [
    "a file that is no saved machine",
    ["--restore", "/bin/busybox"],
    1,
    /this is no saved machine: .*\n.*--snapshot/,
  ],
  ["no kernel", [], 2, /--kernel is missing\nusage: /],
];
for (const [name, words, status, said] of cases)
  test(name, async () => {
    using vmm = startExample(...words);
    const run = await vmm.end();
    expect(run).toMatchObject({ status, output: "" });
    expect(run.said.trim()).toMatch(said);
  });

test("no KVM", async () => {
  renameSync("/dev/kvm", "/dev/kvm-away");
  try {
    using vmm = startExample("--kernel", kernel, "--device", take("nvme"));
    const { status, said } = await vmm.end();
    expect([status, said]).toEqual([1, expect.stringMatching(/^vmm: .*\/dev\/kvm.*\n/)]);
  } finally {
    renameSync("/dev/kvm-away", "/dev/kvm");
  }
});
