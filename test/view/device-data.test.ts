// What a page has of a device: who answers for each byte, its registers bit by bit, its addresses.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { VfioPciDevice } from "../../src/device/passthrough/vfio-pci-device.ts";
import { MemoryPlatform } from "../../src/device/platforms/memory/memory-platform.ts";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import type { DeviceImage } from "../../src/image/image.ts";
import { readImage } from "../../src/image/read.ts";
import { layoutOf } from "../../src/regs/layout.ts";
import { endpointHeader } from "../../src/regs/maps/header.ts";
import { addressLine, areasOf } from "../../src/view/address-line.ts";
import { hasEffect, ownerOf, writableBits, type ByteTables } from "../../src/view/byte-owner.ts";
import { deviceData } from "../../src/view/device-data.ts";
import { partsOf, rawAt, registersByByte, textAt } from "../../src/view/register-at.ts";
import { syntheticImage } from "../support/synthetic-image.ts";
import { root } from "../support/tree.ts";

const imageOf = (name: string): DeviceImage =>
  readImage(readFileSync(join(root, `images/${name}.json`), "utf8"));
const dataOf = (image: DeviceImage) => deviceData(image, { name: image.bdf, source: "a test" });

function tablesOf(image: DeviceImage): ByteTables {
  const { guest } = dataOf(image);
  const table = (hex: string): Uint8Array => Uint8Array.fromHex(hex);
  return {
    emulated: table(guest!.emulated),
    write: table(guest!.write),
    clear: table(guest!.clear),
    source: table(guest!.source),
    effects: table(guest!.effects),
    patches: guest!.patches,
  };
}

describe("who answers for a byte", () => {
  const igb = imageOf("igb");
  const tables = tablesOf(igb);
  const place = (name: string): number =>
    layoutOf(igb.config).capabilities.find((capability) => capability.name === name)!.offset;

  test("header, capabilities and what is hidden", () => {
    const owners = {
      vendor: ownerOf(tables, endpointHeader.offsetOf("vendorId")),
      command: ownerOf(tables, endpointHeader.offsetOf("command")),
      bar: ownerOf(tables, endpointHeader.offsetOf("bar0" as never)),
      msix: ownerOf(tables, place("MSI-X") + 2),
      srIov: ownerOf(tables, place("SR-IOV") + 4),
      unread: ownerOf(tables, endpointHeader.offsetOf("vendorId"), true),
    };
    expect(owners).toEqual({
      vendor: "static",
      command: "device",
      bar: "emulated",
      msix: "emulated",
      srIov: "hidden",
      unread: "unknown",
    });
  });

  test("what a write changes, and what it sets off", () => {
    const { vendorId, command, status } = { vendorId: 0, command: 4, status: 7 };
    expect([vendorId, command, status].map((at) => writableBits(tables, at) !== 0)).toEqual([
      false,
      true,
      true,
    ]);
    // COMMAND turns decoding on; a 1 clears an error of STATUS; the cache line size is a number alone.
    expect(
      [command, status, endpointHeader.offsetOf("cacheLineSize")].map((at) => hasEffect(tables, at)),
    ).toEqual([true, true, false]);
  });

  test("is what the model does: emulated bytes stay as the guest wrote them, hidden ones read 0", () => {
    using platform = new MemoryPlatform();
    using device = VfioPciDevice.attach(new RecordedDevice(igb), platform);
    for (let at = 0; at < device.configSize; at++)
      if (ownerOf(tables, at) === "hidden" && at > place("ARI") + 4)
        expect([at, device.configRead(at, 1)]).toEqual([at, 0]);
    const shadow = Uint8Array.fromHex(dataOf(igb).guest!.shadow);
    for (let at = 0; at < device.configSize; at++)
      if (ownerOf(tables, at) === "static") expect([at, device.configRead(at, 1)]).toEqual([at, shadow[at]!]);
  });
});

describe("what cannot be attached", () => {
  test("is shown with the reason: 64 bytes, a bridge", () => {
    const { config, ...rest } = imageOf("nvme");
    const short = dataOf({ ...rest, config: config.slice(0, 64) });
    expect([short.guest, short.noGuest]).toEqual([undefined, expect.stringContaining("64 bytes")]);
    const bridge = syntheticImage({ patch: (bytes) => void (bytes[0x0e] = 1) });
    expect(dataOf(bridge).noGuest).toContain("not an endpoint's");
  });
});

describe("addresses", () => {
  test("of the device as it had them, of the guest as it finds them", () => {
    const { bars } = dataOf(imageOf("nvme")).guest!;
    expect(bars).toEqual([
      expect.objectContaining({
        name: "BAR0",
        hostAddress: 0xfd200000,
        guestAddress: expect.any(Number) as number,
        mapped: [{ offset: 0, size: 0x2000, gpa: bars[0]!.guestAddress! }],
      }),
    ]);
  });

  const bar = { region: 0, size: 0x8000, physicalSize: 0x4000, mapped: [{ offset: 0, size: 0x1000 }] };
  const geometry = (offset: number) => ({
    vectors: 8,
    table: { region: 0, offset, size: 0x80 },
    pba: { region: 0, offset: offset + 0x800, size: 8 },
  });

  test("the parts of a BAR fill it, and say what accesses meet", () => {
    const physical = geometry(0x1000);
    const msix = { physical, guest: geometry(0x4000), relocated: true };
    const areas = areasOf(bar, msix);
    expect(areas.map(({ kind, offset }) => [kind, offset])).toEqual([
      ["mapped", 0],
      ["hole", 0x1000],
      ["trapped", 0x1080],
      ["table", 0x4000],
      ["beyond", 0x4080],
      ["pba", 0x4800],
      ["beyond", 0x4808],
    ]);
    expect(areas.reduce((end, { offset, size }) => (expect(offset).toBe(end), end + size), 0)).toBe(bar.size);
  });

  test("config space that a BAR shows is a part of it", () => {
    const mirror = { region: 0, offset: 0x800, size: 0x100 };
    const all = { ...bar, size: 0x4000, mapped: [] };
    expect(
      areasOf(all, undefined, [mirror, { ...mirror, region: 1 }]).map(({ kind, offset }) => [kind, offset]),
    ).toEqual([
      ["trapped", 0],
      ["mirror", 0x800],
      ["trapped", 0x900],
    ]);
    const nvidia = syntheticImage({ vendorId: 0x10de, bars: { 0: { size: 0x100000 } } });
    expect(dataOf(nvidia).guest!.configMirrors).toContainEqual({ region: 0, offset: 0x88000, size: 4096 });
  });

  test("a line has what lies on it in order, and what is free in between", () => {
    const items = [0x3000, 0x1000, 0x2000].map((base) => ({ base, size: 0x800 }));
    expect(addressLine(items)).toEqual([
      { item: items[1]! },
      { free: 0x800 },
      { item: items[2]! },
      { free: 0x800 },
      { item: items[0]! },
    ]);
    expect(addressLine([])).toEqual([]);
  });
});

describe("registers", () => {
  const { config } = imageOf("nvme");
  const registers = registersByByte(layoutOf(config), config.length);

  test("cover the bytes that they have", () => {
    const command = registers[4]!;
    expect([command.where, command.name, command.offset]).toEqual(["header", "command", 4]);
    expect(registers[5]).toBe(command);
    expect(registers[0x42]!.where).toBe("MSI-X");
    expect(registers[0xfff]).toBeUndefined();
  });

  test("are cut into fields and what is between them, from the top down, without a gap", () => {
    for (const placed of new Set(registers)) {
      if (!placed) continue;
      const raw = rawAt(placed, config);
      const parts = partsOf(placed.register, raw);
      let above: number = placed.register.width;
      let value = 0n;
      for (const { hi, lo, bits } of parts) {
        expect([placed.name, hi]).toEqual([placed.name, above - 1]);
        above = lo;
        value |= bits << BigInt(lo);
      }
      expect([placed.name, above, value]).toEqual([placed.name, 0, BigInt(raw)]);
    }
  });

  test("are told in words", () => {
    expect(textAt(registers[4]!, config)).toContain("BusMaster+");
    expect(partsOf(registers[4]!.register, 0x0002).find(({ name }) => name === "memorySpace")!.value).toBe(
      "true",
    );
  });
});

test("the MSI-X table is shown where all of it was recorded", () => {
  const image = imageOf("nvme");
  expect(dataOf(image).msixTable).toBeUndefined();
  const bytes = Uint8Array.from({ length: 65 * 16 }, (_, i) => i % 251);
  const regions = image.regions.map((region) =>
    region.index === 0 ? { ...region, contents: [{ offset: 0x2000, bytes }] } : region,
  );
  expect(dataOf({ ...image, regions }).msixTable).toBe(bytes.toHex());
});
