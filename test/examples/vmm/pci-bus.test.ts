import { expect, test } from "bun:test";
import { TrapBus } from "../../../src/kvm/trap-bus.ts";
import { PciBus } from "../../../examples/vmm/devices/pci-bus.ts";
import { memory } from "../../../examples/vmm/layout.ts";

function made() {
  const bus = new TrapBus();
  const resets: number[] = [];
  const pci = new PciBus(bus, { ioWrite: (_port, data) => resets.push(data[0]!) });
  const writes: number[][] = [];
  const fn = {
    configRead: (offset: number, width: number) => offset * 16 + width,
    configWrite: (...write: number[]) => void writes.push(write),
  };
  pci.insert(3, fn);
  const select = (offset: number): void => bus.ioWrite(0xcf8, new Uint8Array(Uint32Array.of(offset).buffer));
  const read = (kind: "io" | "mmio", address: number, width: number): string => {
    const data = new Uint8Array(width);
    if (kind === "io") bus.ioRead(address, data);
    else bus.mmioRead(address, data);
    return data.toHex();
  };
  return { bus, pci, resets, writes, select, read };
}
const ecam = memory.ecam.base + (3 << 15);

test("both ways lead to the function in a slot, in bytes, words and dwords", () => {
  const { bus, writes, select, read } = made();
  select(0x8000_1810);
  expect([read("io", 0xcfc, 4), read("io", 0xcfe, 2), read("io", 0xcff, 1)]).toEqual([
    "04010000",
    "2201",
    "31",
  ]);
  expect([read("mmio", ecam + 0x10, 4), read("mmio", ecam + 0x102, 2)]).toEqual(["04010000", "2210"]);
  bus.ioWrite(0xcfd, Uint8Array.of(0x99));
  bus.mmioWrite(ecam + 0x100, Uint8Array.of(1, 2, 3, 0xff));
  expect(writes).toEqual([
    [0x11, 1, 0x99],
    [0x100, 4, 0xff03_0201],
  ]);
});

test("the bridge is there; empty slots, other functions and 8 bytes at once are nobody's", () => {
  const { bus, pci, writes, select, read } = made();
  select(0x8000_0000);
  expect([read("io", 0xcfc, 4), read("mmio", memory.ecam.base + 0xa, 2)]).toEqual(["8680570d", "0006"]);
  select(0x8000_2000);
  expect(read("io", 0xcfc, 4)).toBe("ffffffff");
  expect(read("mmio", ecam + 0x1000, 4)).toBe("ffffffff");
  expect(read("mmio", ecam, 8)).toBe("ff".repeat(8));
  bus.mmioWrite(ecam, new Uint8Array(8).fill(0xff));
  expect(writes).toEqual([]);
  pci.remove(3);
  expect(read("mmio", ecam, 4)).toBe("ffffffff");
  expect(() => pci.insert(0, { configRead: () => 0, configWrite: () => {} })).toThrow("slot 0");
});

test("the reset register is in the middle of CONFIG_ADDRESS", () => {
  const { bus, resets, read } = made();
  bus.ioWrite(0xcf9, Uint8Array.of(6));
  expect([resets, read("io", 0xcf8, 4)]).toEqual([[6], "00000000"]);
});
