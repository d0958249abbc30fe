// Whatever a user does to a recorded device: nothing but a VfioError comes back, nothing outside of an access is touched,
// and what is read-only stays.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readdirSync, readFileSync } from "node:fs";
import { IrqIndex, type IrqRequest } from "../../../../src/regs/vfio/irqs.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { VfioError } from "../../../../src/ffi/errors.ts";
import { imageFromConfig, readImage, type DeviceImage } from "../../../../src/image/index.ts";
import { walkCapabilities, walkExtendedCapabilities } from "../../../../src/regs/index.ts";
import { seededRandom } from "../../../support/random.ts";

/** All of it in CI, a part elsewhere so that the tests stay quick to run. */
const numRuns = process.env["CI"] ? 2000 : 300;
const images: readonly DeviceImage[] = readdirSync(new URL("../../../../images/", import.meta.url))
  .filter((name) => name.endsWith(".json"))
  .map((name) => readImage(readFileSync(new URL(`../../../../images/${name}`, import.meta.url), "utf8")));

const anyImage = fc.constantFrom(...images);
const anyData = fc.uint8Array({ maxLength: 16 });
type Step =
  | { readonly do: "read"; readonly offset: number; readonly size: number }
  | { readonly do: "write"; readonly offset: number; readonly data: Uint8Array }
  | { readonly do: "reset" }
  | { readonly do: "irqs"; readonly request: IrqRequest };

/** Around the registers that do something, and anywhere. */
const anyOffset = fc.oneof(fc.integer({ min: -8, max: 4104 }), fc.integer({ min: 0, max: 0xff }));
const anyRequest: fc.Arbitrary<IrqRequest> = fc.record({
  index: fc.integer({ min: -1, max: 5 }),
  action: fc.constantFrom("trigger", "mask", "unmask"),
  start: fc.integer({ min: -1, max: 5 }),
  data: fc.oneof(
    fc.record({ kind: fc.constant("none" as const), count: fc.integer({ min: -1, max: 3 }) }),
    fc.record({ kind: fc.constant("bool" as const), values: fc.array(fc.boolean(), { maxLength: 3 }) }),
    fc.record({
      kind: fc.constant("eventfd" as const),
      fds: fc.array(fc.constantFrom(-2, -1, 999_999), { maxLength: 3 }),
    }),
  ),
});
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("write" as const), offset: anyOffset, data: anyData }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("read" as const), offset: anyOffset, size: fc.nat({ max: 16 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "reset" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("irqs" as const), request: anyRequest }) },
);

/** Does it, and lets VfioErrors pass. @returns whether it was done */
function attempt(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(VfioError);
    return false;
  }
}

function whole(device: RecordedDevice): Uint8Array {
  const config = new Uint8Array(new ArrayBuffer(device.regions[7]!.size));
  device.read(7, 0, config);
  return config;
}

/** Masks of config bits that no user of vfio-pci changes, whatever it writes. */
function constantBits(config: Uint8Array): Uint8Array {
  const mask = new Uint8Array(config.length);
  const mark = (from: number, length: number): void => void mask.fill(0xff, from, from + length);
  mark(0x00, 4); // IDs
  mark(0x08, 4); // revision and class
  mark(0x0e, 1); // header type
  mark(0x28, 8); // CIS, subsystem
  mark(0x34, 1);
  mark(0x3d, 3); // interrupt pin, latencies
  mask[0x06] = 0x10;
  for (const { id, offset } of walkCapabilities(config).found) {
    mark(offset, 2);
    if (id === 0x01) mark(offset + 2, 2);
    if (id === 0x10) {
      mark(offset + 2, 6);
      mark(offset + 12, 4);
    }
    if (id === 0x11) {
      mark(offset + 2, 1);
      mark(offset + 4, 8);
    }
    if (id === 0x12) mark(offset + 2, 6);
  }
  for (const { id, offset } of walkExtendedCapabilities(config).found) {
    mark(offset, 4);
    // Serial number, ARI, SR-IOV: no register of theirs is the user's.
    if (id === 0x03) mark(offset, 12);
    if (id === 0x0e) mark(offset, 8);
    if (id === 0x10) mark(offset, 0x40);
  }
  return mask;
}

describe("config space of the recorded devices", () => {
  test("takes any accesses: only VfioErrors, no byte outside, constants stay, one read is many small ones", () => {
    fc.assert(
      fc.property(anyImage, fc.array(anyStep, { maxLength: 40 }), (image, steps) => {
        using device = new RecordedDevice(image);
        const opened = whole(device);
        const constant = constantBits(opened);
        const size = opened.length;
        for (const step of steps) {
          if (step.do === "reset") attempt(() => device.reset());
          else if (step.do === "irqs") attempt(() => device.setIrqs(step.request));
          else if (step.do === "write") {
            const copy = step.data.slice();
            const inside = step.offset >= 0 && step.offset + copy.length <= size;
            expect(attempt(() => device.write(7, step.offset, step.data))).toBe(inside);
            expect(step.data).toEqual(copy);
          } else {
            const inside = step.offset >= 0 && step.offset + step.size <= size;
            // Bytes around what is asked for, of the same buffer.
            const around = new Uint8Array(new ArrayBuffer(step.size + 8)).fill(0xa5);
            const done = attempt(() => device.read(7, step.offset, around.subarray(4, 4 + step.size)));
            expect(done).toBe(inside);
            expect(
              [...around.subarray(0, 4), ...around.subarray(4 + step.size)].every((b) => b === 0xa5),
            ).toBe(true);
            for (let i = 0; done && i < step.size; i++) {
              const one = new Uint8Array(1);
              device.read(7, step.offset + i, one);
              expect(one[0]).toBe(around[4 + i]!);
            }
          }
        }
        const after = whole(device);
        for (let i = 0; i < size; i++) expect((after[i]! ^ opened[i]!) & constant[i]!).toBe(0);
      }),
      { numRuns, includeErrorInReport: true },
    );
  }, 600_000);

  test("writes of the same bytes in any pieces of whole dwords end alike", () => {
    const anyDwords = fc.array(fc.uint8Array({ minLength: 4, maxLength: 4 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(anyImage, fc.nat({ max: 63 }), anyDwords, (image, index, dwords) => {
        using together = new RecordedDevice(image);
        using apart = new RecordedDevice(image);
        const offset = Math.min(4 * index, 256 - 4 * dwords.length);
        together.write(7, offset, Uint8Array.from(dwords.flatMap((dword) => [...dword])));
        dwords.forEach((dword, i) => apart.write(7, offset + 4 * i, dword));
        expect(whole(together)).toEqual(whole(apart));
      }),
      { numRuns: numRuns / 2 },
    );
  }, 600_000);
});

describe("random config spaces", () => {
  /** Lists that go somewhere: STATUS says that there is one, an express capability near the start. */
  const anySpace = fc.record({
    size: fc.constantFrom(64, 256, 4096),
    seed: fc.nat(),
    list: fc.array(fc.record({ id: fc.nat({ max: 0x16 }), at: fc.nat({ max: 47 }) }), { maxLength: 6 }),
    extended: fc.array(fc.record({ id: fc.nat({ max: 0x30 }), at: fc.nat({ max: 900 }) }), { maxLength: 6 }),
  });

  test("open, and take accesses to any region", () => {
    fc.assert(
      fc.property(anySpace, fc.array(anyStep, { maxLength: 12 }), (space, steps) => {
        const config = new Uint8Array(new ArrayBuffer(space.size));
        seededRandom(space.seed).fill(config);
        config[0x0e] = 0;
        config[0x06]! |= 0x10;
        let previous = 0x34;
        for (const { id, at } of space.list) {
          const offset = 64 + 4 * at;
          if (offset + 4 > config.length) continue;
          config[previous] = offset;
          config[offset] = id;
          previous = offset + 1;
        }
        if (config.length === 4096) {
          const view = new DataView(config.buffer);
          let head = 0x100;
          for (const { id, at } of space.extended) {
            view.setUint32(head, (id | (1 << 16) | ((0x100 + 4 * at) << 20)) >>> 0, true);
            head = 0x100 + 4 * at;
          }
        }
        using device = new RecordedDevice(imageFromConfig("0000:00:01.0", config));
        for (const step of steps) {
          if (step.do === "reset") attempt(() => device.reset());
          else if (step.do === "irqs") attempt(() => device.setIrqs(step.request));
          else
            for (const region of [7, 0, 6])
              attempt(() =>
                step.do === "read"
                  ? device.read(region, step.offset, new Uint8Array(step.size))
                  : device.write(region, step.offset, step.data),
              );
        }
        for (const index of Object.values(IrqIndex)) device.raise(index, 0);
        // Of a space that was recorded in part, the rest reads 0.
        expect(
          whole(device)
            .subarray(config.length)
            .every((byte) => byte === 0),
        ).toBe(true);
      }),
      { numRuns, includeErrorInReport: true },
    );
  }, 600_000);
});
