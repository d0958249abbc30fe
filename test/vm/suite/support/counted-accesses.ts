// Runs under strace: what a guest of the passthrough model does to real devices, each piece between marks.
import { MemoryPlatform } from "../../../../src/device/platforms/memory/memory-platform.ts";
import { VfioPciDevice } from "../../../../src/device/passthrough/vfio-pci-device.ts";
import { bytesOf, memory, writeVector } from "../../../support/attached.ts";
import { open, ways } from "./apis.ts";
import { deviceNames, find, type DeviceName } from "./devices.ts";
import { measured, ownCalls } from "./marks.ts";

const way = ways.find(({ name }) => name === process.argv[2])!;
const own = ownCalls();

interface Guest extends Disposable {
  readonly device: VfioPciDevice;
  readonly platform: MemoryPlatform;
  base(region: number): number;
  capability(id: number): number;
}

function attach(name: DeviceName, label: string): Guest {
  const bdf = find(name);
  const platform = new MemoryPlatform();
  const kernel = measured(`${label}open`, () => open(bdf, way));
  const device = measured(`${label}attach`, () => VfioPciDevice.attach(kernel, platform));
  return {
    device,
    platform,
    base: (region) => device.describe().bars.find((bar) => bar.region === region)!.base!,
    capability(id) {
      let at = device.configRead(0x34, 1);
      while (at !== 0 && device.configRead(at, 1) !== id) at = device.configRead(at + 1, 1);
      return at;
    },
    [Symbol.dispose]() {
      measured(`${label}detach`, () => device[Symbol.dispose]());
      platform[Symbol.dispose]();
    },
  };
}

// What the first use of a function loads is no part of what a device costs.
attach("edu", "first ")[Symbol.dispose]();

/** What the reference reads of a device before a guest sees it, at the least: so many system calls on its descriptor. */
function referenceProbe({ device, capability }: Guest): number {
  let capabilities = 0;
  for (let at = device.configRead(0x34, 1); at !== 0; at = device.configRead(at + 1, 1)) capabilities++;
  let extended = 0;
  for (let at = 0x100; at !== 0 && device.configSize > 0x100; at = device.configRead(at, 4) >>> 20)
    extended++;
  const { bars } = device.describe();
  const msi = capability(5) === 0 ? 0 : 1;
  const msix = capability(0x11) === 0 ? 0 : 3;
  const regions = 9;
  const irqs = 5;
  return 1 + 2 * capabilities + msi + msix + extended + 3 * bars.length + regions + irqs;
}

const bounds: Partial<Record<DeviceName, number>> = {};
for (const name of deviceNames) {
  using guest = attach(name, `${name} `);
  bounds[name] = referenceProbe(guest);
}

const times = (count: number, act: (i: number) => void): void => {
  for (let i = 0; i < count; i++) act(i);
};
let vectors = 0;

function accessBars(): void {
  using guest = attach("edu", "edu again ");
  const { device } = guest;
  measured("BAR mapped", () => device.configWrite(4, 2, memory));
  const bar = guest.base(0);
  const word = new Uint8Array(4);
  measured("trapped reads", () => times(100, () => device.mmioRead(bar + 4, word)));
  measured("trapped writes", () => times(100, () => device.mmioWrite(bar + 4, word)));
  measured("INTx in use: trapped accesses", () => {
    device.mmioWrite(bar + 0x60, bytesOf(1, 4));
    device.mmioRead(bar + 0x24, word);
    device.mmioWrite(bar + 0x64, bytesOf(1, 4));
  });
}

function accessConfigAndMsix(): void {
  using guest = attach("nvme", "nvme again ");
  const { device } = guest;
  device.configWrite(4, 2, memory);
  for (let offset = 0; offset < device.configSize; offset += 4)
    measured(`config read ${offset}`, () => device.configRead(offset, 4));
  measured("emulated reads", () => times(100, (i) => device.configRead([0x00, 0x08, 0x10, 0x2c][i & 3]!, 4)));
  measured("config writes", () => times(100, (i) => device.configWrite(4, 2, memory | ((i & 1) << 2))));
  const low = device.configRead(0x10, 4);
  measured("emulated writes", () => times(100, () => device.configWrite(0x10, 4, low)));
  device.configWrite(4, 2, memory);
  const { guest: geometry } = device.describe().msix!;
  const table = guest.base(0) + geometry.table.offset;
  const control = guest.capability(0x11) + 2;
  measured("MSI-X table writes", () =>
    times(geometry.vectors, (i) => writeVector(device, table, i, 0x40 + i)),
  );
  measured("MSI-X on", () => device.configWrite(control, 2, 0x8000));
  measured("MSI-X all masked", () => device.configWrite(control, 2, 0xc000));
  measured("MSI-X all unmasked", () => device.configWrite(control, 2, 0x8000));
  measured("MSI-X off", () => device.configWrite(control, 2, 0));
  // On with everything masked, as Linux does, and all unmasked by one write.
  measured("MSI-X on, masked", () => device.configWrite(control, 2, 0xc000));
  measured("MSI-X first unmasked", () => device.configWrite(control, 2, 0x8000));
  vectors = geometry.vectors;
}

if (process.argv[3] === "accesses") {
  accessBars();
  accessConfigAndMsix();
}
console.log(JSON.stringify({ own, vectors, bounds }));
