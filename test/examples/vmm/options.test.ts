import { describe, expect, test } from "bun:test";
import { parseOptions, parseSize, UsageError } from "../../../examples/vmm/options.ts";

const parse = (text: string) => parseOptions(text.split(" ").filter(Boolean));

test("what is not said has a default", () => {
  expect(parse("--kernel k")).toEqual({
    ...{ kernel: "k", initrd: undefined, commandLine: "console=ttyS0", memory: 2 ** 29, cpus: 1 },
    ...{ devices: [], api: "auto", snapshot: undefined, restore: undefined, trace: undefined, reboot: true },
    flightRecorder: undefined,
    flightLive: undefined,
  });
  expect(parse("--help")).toBeUndefined();
});

test("devices are named in full, in the order of their slots", () => {
  expect(parse("--kernel k --device 02:00.0 --device 0000:01:00.1")?.devices).toEqual([
    ...["0000:02:00.0", "0000:01:00.1"],
  ]);
});

test("a device may be at a socket", () => {
  expect(parse("--kernel k --device vfio-user:/run/nvme.sock")?.devices).toEqual([
    "vfio-user:/run/nvme.sock",
  ]);
});

test("sizes", () => {
  expect([parseSize("64M"), parseSize("1g"), parseSize("65540KiB")]).toEqual([
    2 ** 26,
    2 ** 30,
    65540 * 1024,
  ]);
});

describe("refused, with the option and what it got", () => {
  const cases = [
    ["", "--kernel is missing"],
    ["--kernel k --memory 512", '--memory wants a size such as 512M, from 64M to 63G, not "512"'],
    ["--kernel k --memory 63M", 'not "63M"'],
    ["--kernel k --memory 64G", 'not "64G"'],
    ["--kernel k --memory 65537K", 'not "65537K"'],
    ["--kernel k --cpus 33", '--cpus wants a number from 1 to 32, not "33"'],
    ["--kernel k --cpus 1.5", 'not "1.5"'],
    ["--kernel k --api vfio", '--api wants group, iommufd or auto, not "vfio"'],
    [
      "--kernel k --device 1:2",
      '--device wants the address of a PCI device such as 0000:01:00.0, or vfio-user:PATH, not "1:2"',
    ],
    ["--kernel k --device vfio-user:", 'not "vfio-user:"'],
    ["--kernel k --device vfio-user:/s --device vfio-user:/s", "--device vfio-user:/s is there twice"],
    ["--kernel k --device 01:00.0 --device 0000:01:00.0", "--device 0000:01:00.0 is there twice"],
    ["--kernel k --trace t --flight-recorder f", "--trace and --flight-recorder exclude each other"],
    ["--kernel k --disk d", "--disk"],
  ] as const;
  for (const [words, message] of cases)
    test(words || "nothing", () => {
      expect(() => parse(words)).toThrow(UsageError);
      expect(() => parse(words)).toThrow(message);
    });
});
