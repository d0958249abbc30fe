// What reaches the device below vfio-pci, and in which pieces: facts of vfio_pci_config.c of Linux 6.12.
import { describe, expect, test } from "bun:test";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { barsOf } from "../../../src/device/pci/bars.ts";
import type { ConfigOffset } from "../../../src/device/pci/config-offset.ts";
import { FunctionConfig } from "../../../src/device/function/config.ts";
import { FunctionHardware } from "../../../src/device/function/hardware.ts";
import { regionsByIndex } from "../../../src/image/image.ts";
import { at, syntheticImage, type SyntheticDevice } from "../../support/synthetic-image.ts";

/** A device that notes what is written to it. */
class Watched extends FunctionHardware {
  readonly writes: string[] = [];
  override write(offset: ConfigOffset, data: Uint8Array): void {
    this.writes.push(`${offset.toString(16)}: ${data.toHex()}`);
    super.write(offset, data);
  }
}

function make(device: SyntheticDevice): { config: FunctionConfig; hardware: Watched; effects: string[] } {
  const effects: string[] = [];
  const image = syntheticImage(device);
  const { bars } = barsOf(image.config, regionsByIndex(image));
  const hardware = new Watched(image, bars);
  const hasIntx = image.irqs.some(({ index, count }) => index === IrqIndex.intx && count > 0);
  const config = new FunctionConfig(hardware, bars, hasIntx, {
    reset: () => void effects.push("reset"),
    interruptDisable: (disabled) => void effects.push(`disable ${disabled}`),
    msiMask: () => void effects.push("mask"),
  });
  return { config, hardware, effects };
}
const put = (config: FunctionConfig, offset: number, hex: string): void =>
  config.write(offset, Uint8Array.fromHex(hex));
const get = (config: FunctionConfig, offset: number, size: number): string => {
  const data = new Uint8Array(new ArrayBuffer(size));
  config.read(offset, data);
  return data.toHex();
};
const offset = (value: number): string => value.toString(16);

describe("a write goes down in aligned pieces of one capability", () => {
  test("of at most 4 bytes, the largest that fit", () => {
    const { config, hardware } = make({});
    put(config, 0x41, "0102030405060708090a0b");
    expect(hardware.writes).toEqual(["41: 01", "42: 0203", "44: 04050607", "48: 08090a0b"]);
    hardware.writes.length = 0;
    put(config, 0x43, "0102");
    put(config, 0x45, "0304");
    expect(hardware.writes).toEqual(["43: 01", "44: 02", "45: 03", "46: 04"]);
  });

  test("and not across the end of one: MSI of 10 bytes ends in the middle of a dword", () => {
    const { config, hardware } = make({ msi: { log2: 0 } });
    put(config, at.msi + 8, "11223344");
    expect(hardware.writes).toEqual([`${offset(at.msi + 10)}: 3344`]);
    expect(get(config, at.msi + 8, 2)).toBe("1122");
  });

  test("with the bits that are not let through as the device has them", () => {
    const patch = (bytes: Uint8Array): void => bytes.set([0x30, 0x26], at.pcie + 8);
    const { config, hardware } = make({ pcie: true, patch });
    put(config, at.pcie + 8, "ff7f");
    // Sizes and phantom functions stay as they are.
    expect(hardware.writes).toEqual([`${offset(at.pcie + 8)}: 3f2f`]);
    expect(get(config, at.pcie + 8, 2)).toBe("ff7f");
  });

  test("COMMAND reaches the device but for its interrupt disable bit; STATUS goes as it reads", () => {
    const { config, hardware, effects } = make({ patch: (bytes) => void (bytes[7] = 0x40) });
    put(config, 0x04, "ffffffff");
    expect([hardware.writes, effects]).toEqual([["4: fffb0040"], ["disable true"]]);
    put(config, 0x05, "fb");
    expect([hardware.writes[1], effects[1]]).toEqual(["5: fb", "disable false"]);
    put(config, 0x06, "ffff");
    expect(hardware.writes).toHaveLength(2);
  });

  test("cache line size, latency timer and BIST reach it; the interrupt line and BARs do not", () => {
    const { config, hardware } = make({ bars: { 0: { size: 0x1000 } } });
    put(config, 0x0c, "10204080");
    put(config, 0x10, "ffffffff");
    put(config, 0x3c, "0b");
    expect(hardware.writes).toEqual(["c: 10200080"]);
    expect([get(config, 0x10, 4), get(config, 0x3c, 1)]).toEqual(["00f0ffff", "0b"]);
  });
});

describe("power", () => {
  const states = (support: number): SyntheticDevice => ({
    pm: true,
    patch: (bytes) => void (bytes[at.pm + 3] = support),
  });
  const state = (config: FunctionConfig): number => Number(`0x${get(config, at.pm + 4, 1)}`) & 3;

  test("changes by a write that starts at the control register", () => {
    const { config } = make(states(0x06));
    put(config, at.pm + 2, "0300");
    put(config, at.pm, "03000300");
    put(config, at.pm + 5, "03");
    put(config, at.pm + 6, "0303");
    expect(state(config)).toBe(0);
    put(config, at.pm + 4, "01000000");
    expect(state(config)).toBe(1);
  });

  test("goes down to any state that there is, and up to D0 alone", () => {
    const { config } = make(states(0x06));
    const go = (to: number): number => {
      put(config, at.pm + 4, `0${to}00`);
      return state(config);
    };
    expect([1, 2, 1, 3, 2, 1, 0, 2, 0].map(go)).toEqual([1, 2, 2, 3, 3, 3, 0, 2, 0]);
    const { config: without } = make(states(0x02));
    put(without, at.pm + 4, "0200");
    expect(state(without)).toBe(0);
  });
});

describe("coming up to D0", () => {
  const written = (act: (config: FunctionConfig) => void): string[] => {
    const { config, hardware } = make({ pm: true });
    act(config);
    return hardware.writes;
  };
  const up = `${offset(at.pm + 4)}: 0000`;
  test("writes 0 to all of the control register after what the user wrote there", () => {
    const { config, hardware } = make({ pm: true });
    put(config, at.pm + 4, "0300");
    put(config, at.pm + 4, "0004");
    expect(hardware.writes.at(-1)).toBe(up);
    expect(get(config, at.pm + 4, 2)).toBe("0000");
    // One that is in D0 already takes it.
    put(config, at.pm + 4, "0004");
    expect(get(config, at.pm + 4, 2)).toBe("0004");
  });

  test("is what a reset does first to a function that sleeps, and to none that is awake", () => {
    expect(written((config) => config.awake())).toEqual([]);
    const writes = written((config) => {
      put(config, at.pm + 4, "0306");
      config.awake();
    });
    expect(writes.at(-1)).toBe(up);
  });
});

describe("PCI Express", () => {
  test("the read request size reaches the device: at least its payload size, at most 4096 bytes", () => {
    // A payload of 256 bytes, requests of 512.
    const patch = (bytes: Uint8Array): void => bytes.set([0x20, 0x20], at.pcie + 8);
    const { config, hardware } = make({ pcie: true, patch });
    const requests = (size: number): number => {
      put(config, at.pcie + 8, `00${size}0`);
      return (hardware.config[at.pcie + 9]! >>> 4) & 7;
    };
    expect([3, 0, 1, 5, 6, 7].map(requests)).toEqual([3, 1, 1, 5, 5, 5]);
    expect(hardware.config[at.pcie + 8]).toBe(0x20);
    expect(get(config, at.pcie + 8, 2)).toBe("0070");
  });

  test("a reset bit resets once, in whatever width it comes", () => {
    const { config, effects } = make({ pcie: true });
    put(config, at.pcie + 8, "0080");
    put(config, at.pcie + 9, "80");
    put(config, at.pcie + 8, "00800000");
    put(config, at.pcie + 8, "80");
    expect([effects, get(config, at.pcie + 9, 1)]).toEqual([["reset", "reset", "reset"], "00"]);
  });
});

describe("MSI", () => {
  const device: SyntheticDevice = { msi: { log2: 3, wide: true, maskable: true } };

  test("control is looked at in each write that has it, and written to the device", () => {
    for (const [from, text] of [
      [at.msi, "05007100"],
      [at.msi + 2, "71"],
      [at.msi + 2, "7100"],
    ] as const) {
      const { config, hardware } = make(device);
      put(config, from, text);
      // Off without SET_IRQS, and one vector; the upper byte is the device's.
      expect(get(config, at.msi + 2, 2)).toBe("0001");
      expect(hardware.writes).toEqual([`${offset(at.msi + 2)}: 0001`]);
    }
  });

  test("allows as many vectors as were set last, rounded up; it is on as long as they are set", () => {
    const { config, hardware } = make(device);
    const flags = (): string => get(config, at.msi + 2, 1);
    config.interruptMode(IrqIndex.msi, 3);
    expect(hardware.config[at.msi + 2]! & 0x71).toBe(0x21);
    put(config, at.msi + 2, "b700");
    expect(flags()).toBe("a7");
    config.interruptMode(undefined, 0);
    expect([flags(), hardware.config[at.msi + 2]! & 1]).toEqual(["a7", 0]);
    put(config, at.msi + 2, "b100");
    expect(flags()).toBe("a0");
  });

  test("address and data are the user's; mask bits are the device's, pending bits take no writes", () => {
    const { config, hardware, effects } = make(device);
    put(config, at.msi + 4, "00f0eefe010000003412");
    expect([get(config, at.msi + 4, 10), hardware.writes]).toEqual(["00f0eefe010000003412", []]);
    put(config, at.msi + 16, "0100000002000000");
    expect(hardware.writes).toEqual([`${offset(at.msi + 16)}: 01000000`, `${offset(at.msi + 20)}: 02000000`]);
    expect([get(config, at.msi + 16, 8), effects.includes("mask")]).toEqual(["0100000000000000", true]);
  });
});

test("VPD: a transfer is done at once, by a write that has the flag's byte", () => {
  const { config, hardware } = make({
    patch: (bytes) => {
      bytes[0x06] = 0x10;
      bytes[0x34] = 0x40;
      bytes.set([0x03, 0x00, 0, 0, 1, 2, 3, 4], 0x40);
    },
  });
  put(config, 0x42, "10");
  expect(get(config, 0x42, 6)).toBe("100001020304");
  put(config, 0x42, "1400");
  expect(get(config, 0x42, 6)).toBe("148000000000");
  put(config, 0x44, "0a0b0c0d");
  put(config, 0x42, "1880");
  expect(get(config, 0x42, 6)).toBe("18000a0b0c0d");
  put(config, 0x40, "00001c00");
  expect([get(config, 0x40, 8), hardware.writes]).toEqual(["03001c8000000000", []]);
});

test("power: on the way back to D0 the host clears the rest of the register", () => {
  const { config } = make({ pm: true });
  put(config, at.pm + 4, "001e");
  expect(get(config, at.pm + 4, 2)).toBe("001e");
  put(config, at.pm + 4, "03");
  put(config, at.pm + 4, "00");
  expect(get(config, at.pm + 4, 2)).toBe("0000");
});
