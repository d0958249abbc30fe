// What a guest's access costs in the model, where no device is asked: config reads from the shadow, MSI-X table writes.
import { readFileSync } from "node:fs";
import { bench, do_not_optimize, group } from "mitata";
import { readImage } from "../src/image/index.ts";
import { MemoryPlatform, RecordedDevice, VfioPciDevice } from "../src/index.ts";

export const accessesPerIteration = 100;
const warmUp = 1000;
export const configRead = "emulated config read";
export const tableWrite = "trapped MSI-X table write";

/** Attaches the recorded NVMe controller with decoding on, and registers the benches. @returns what they run, by name */
export function deviceBenches(): Readonly<Record<string, () => void>> {
  const text = readFileSync(new URL("../images/nvme.json", import.meta.url), "utf8");
  const device = VfioPciDevice.attach(new RecordedDevice(readImage(text)), new MemoryPlatform());
  device.configWrite(0x04, 2, 0x6);
  const { bars, msix } = device.describe();
  const table = bars[0]!.base! + msix!.guest.table.offset;
  const entry = new Uint8Array(4);
  const offsets = [0x00, 0x08, 0x0c, 0x10, 0x2c, 0x34, 0x3c, 0x40];

  const runs: Record<string, () => void> = {};
  /** Many accesses an iteration: a timer around a single one would measure itself. */
  const measure = (name: string, access: (i: number) => unknown): void => {
    const many = (): void => {
      for (let i = 0; i < accessesPerIteration; i++) do_not_optimize(access(i));
    };
    for (let i = 0; i < warmUp; i++) many();
    runs[name] = many;
    bench(name, many);
  };
  group(`guest accesses that no device is asked for, ${accessesPerIteration} an iteration`, () => {
    measure(configRead, (i) => device.configRead(offsets[i & 7]!, 4));
    measure("config read of 2 bytes", (i) => device.configRead(offsets[i & 7]!, 2));
    measure(tableWrite, (i) => {
      entry[1] = i;
      return device.mmioWrite(table + 16 * (i & 31) + 8, entry);
    });
    measure("MSI-X table read", (i) => device.mmioRead(table + 16 * (i & 31), entry));
  });
  return runs;
}
