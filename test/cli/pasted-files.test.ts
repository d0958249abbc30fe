// What people paste into mails and reports, whole files: the device in it is read, what was skipped is said with a count, exit code 0.
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { bunVfio, root } from "./run.ts";

// Each test starts the command.
setDefaultTimeout(60_000);

const pasted: readonly (readonly [name: string, note: RegExp | ""])[] = [
  ["prompt", /^bun-vfio: note: prompt\.txt: skipped 2 lines that lspci does not print, first line 1: "host:/],
  ["prose", /skipped 2 lines that lspci does not print, first line 1: "This is the card:"/],
  ["fence", /skipped 2 lines that lspci does not print, first line 1: "```"/],
  ["latin1", ""],
  ["one-without-rows", /skipped 1 device without a dump, first 0000:02:00\.0/],
  ["dmesg", /1 device is from a kernel log, as the firmware had left them/],
];

test.each(pasted)("%s: its device is read", (name, note) => {
  const { code, out, err } = bunVfio(["show", `${name}.txt`], { cwd: join(root, "test/data/pasted") });
  expect(out).toStartWith("0000:01:00.0 Ethernet controller [0200]: 1234:5678 (rev 00)");
  expect(out).toContain("Capabilities: [40] PCIe");
  expect([code, err]).toEqual([0, note === "" ? "" : expect.stringMatching(note)]);
});

test("fell-off: all ones are no device that answers, exit code 1", () => {
  const { code, out } = bunVfio(["show", join(root, "test/data/pasted/fell-off.txt")]);
  expect(code).toBe(1);
  expect(out).toContain("Does not answer: config space reads all ones");
});
