// machines: (intel, virtio, vfio-user)
// takes: 40 s
// The example of a driver for edu, by each way to open a device that maps DMA; with QEMU's and with the one of examples/devices.
import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { demonstrate } from "../../../examples/edu/demonstration.ts";
import { root } from "../../support/tree.ts";
import { ownDescriptors, take } from "./support/devices.ts";
import { ways } from "./support/apis.ts";

const shown = (bdf: string, api: string): string[] => [
  `open: ${bdf} by ${api}`,
  "registers: edu 1.0, alive; 10! is 3628800",
  "MSI: 12! is 479001600; 100 messages",
  "INTx: 1000 interrupts in a row, unmasked by eventfd; none lost, none twice",
  "DMA: 4096 bytes from memory to the device, and back to other memory",
  expect.stringMatching(/^DMA: to and from IOVA 0x[0-9a-f]+, which is unmapped: blocked, and all goes on$/),
];

describe.each(ways)("$name", ({ options, api }) => {
  const before = ownDescriptors();
  afterAll(() => expect(ownDescriptors()).toEqual(before));

  test("registers, MSI, INTx by eventfds, DMA both ways, and none to what is unmapped", () => {
    const lines: string[] = [];
    const bdf = take("edu");
    demonstrate(bdf, options, (line) => lines.push(line));
    expect(lines).toEqual(shown(bdf, api));
  });
});

describe("the program", () => {
  const run = (...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([
      process.execPath,
      join(root, "examples/edu/main.ts"),
      ...args,
    ]);
    return { exitCode, lines: stdout.toString().trimEnd().split("\n"), errors: stderr.toString() };
  };

  test("says what it shows, and ends with 0", () => {
    const bdf = take("edu");
    expect(run(bdf)).toEqual({ exitCode: 0, lines: shown(bdf, "iommufd"), errors: "" });
    expect(run(bdf, "--api", "group").lines).toEqual(shown(bdf, "group"));
  });

  test("ends with 1 and the reason for another device, and for one that is not there", () => {
    expect(run(take("nvme"))).toMatchObject({
      exitCode: 1,
      errors: expect.stringContaining("is no edu device of version 1"),
    });
    expect(run("0000:7f:00.0")).toMatchObject({
      exitCode: 1,
      errors: expect.stringContaining("There is no PCI device"),
    });
  });
});
