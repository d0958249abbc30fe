// What nine devices looked like right after open, read through vfio-pci of Linux 6.12 on the host that they were recorded on.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { readImage } from "../../../../src/image/index.ts";
import { walkCapabilities, walkExtendedCapabilities } from "../../../../src/regs/index.ts";

/** First 64 bytes of config space, then the capabilities that were found by following the lists. */
const survey: [name: string, header: string, standard: string, extended?: string][] = [
  [
    "edu",
    "3412e811030110001000ff0000000000000040fd000000000000000000000000000000000000000000000000f41a00110000000040000000000000000b010000",
    "5@40",
  ],
  [
    "nvme",
    "361b1000030110000202080100000000040020fd000000000000000000000000000000000000000000000000f41a00110000000040000000000000000b010000",
    "11@40 10@80 1@60",
  ],
  [
    "e1000e",
    "8680d310030110000000000200000000000004fd000006fd01400000000008fd00000000000000000000000086800000000000fdc8000000000000000b010000",
    "1@c8 5@d0 10@e0 11@a0",
    "1@100 3@140",
  ],
  [
    "igb",
    "8680c9100301100001000002000000000000e0fc0000e2fc013000000400e4fc000000000000000000000000f41a00110000000040000000000000000b010000",
    "1@40 5@50 11@70 10@a0",
    "1@100 e@150 10@160",
  ],
  [
    "pci-testdev",
    "361b0500030100000000ff00000000000000c0fc012000000c0000fe00000000000000000000000000000000f41a001100000000000000000000000000000000",
    "",
  ],
  [
    "virtio-net",
    "f41a4110030110000100000200000000000000000000a4fc00000000000000000c00e0fd0000000000000000f41a00110000a0fcdc000000000000000b010000",
    "11@dc 9@c8 9@b4 9@a4 9@94 9@84 1@7c 10@40",
  ],
  [
    "virtio-blk",
    "f41a421003011000010000010000000000000000000080fc00000000000000000c00c0fd0000000000000000f41a001100000000dc000000000000000b010000",
    "11@dc 9@c8 9@b4 9@a4 9@94 9@84 1@7c 10@40",
  ],
  [
    "xhci",
    "361b0d00030110000130030c10000000040060fc000000000000000000000000000000000000000000000000f41a00110000000090000000000000000b010000",
    "11@90 10@a0",
  ],
  [
    "ahci",
    "868022290301100002010601000000000000000000000000000000000000000001100000000040fc00000000f41a00110000000080000000000000000b010000",
    "5@80 12@a8",
  ],
];

const list = (found: readonly { id: number; offset: number }[]): string =>
  found.map(({ id, offset }) => `${id.toString(16)}@${offset.toString(16)}`).join(" ");

describe("a device just opened", () => {
  for (const [name, header, standard, extended] of survey) {
    test(`${name} shows what the host's ${name} showed, in every bit`, () => {
      using device = new RecordedDevice(
        readImage(readFileSync(new URL(`../../../../images/${name}.json`, import.meta.url), "utf8")),
      );
      const config = new Uint8Array(new ArrayBuffer(device.regions[7]!.size));
      device.read(7, 0, config);
      expect(config.subarray(0, 64).toHex()).toBe(header);
      expect(list(walkCapabilities(config).found)).toBe(standard);
      if (extended !== undefined) expect(list(walkExtendedCapabilities(config).found)).toBe(extended);
    });
  }

  test("has MSI and MSI-X off, whatever the driver had when it was recorded", () => {
    // Capability IDs of what each has, so that none is looked for in vain.
    const kinds = {
      nvme: [0x11],
      e1000e: [0x05, 0x11],
      igb: [0x05, 0x11],
      "virtio-net": [0x11],
      xhci: [0x11],
      ahci: [0x05],
      edu: [0x05],
    };
    for (const [name, expected] of Object.entries(kinds)) {
      const seen: number[] = [];
      using device = new RecordedDevice(
        readImage(readFileSync(new URL(`../../../../images/${name}.json`, import.meta.url), "utf8")),
      );
      const config = new Uint8Array(new ArrayBuffer(256));
      device.read(7, 0, config);
      for (const { id, offset } of walkCapabilities(config).found) {
        if (id !== 0x05 && id !== 0x11) continue;
        seen.push(id);
        if (id === 0x05) expect(config[offset + 2]! & 0x01).toBe(0);
        else expect(config[offset + 3]! & 0xc0).toBe(0);
      }
      expect([name, ...seen.sort((a, b) => a - b)]).toEqual([name, ...expected]);
    }
  });
});
