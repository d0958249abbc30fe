// The traps of one revision, in a process of its own: `bun subject.ts ROOT DEVICE [--mixed N] [--smoke]` prints JSON.
import { heapStats } from "bun:jsc";
import { processorTime } from "../clock.ts";
import { loadLibrary } from "../compare/library.ts";
import { median } from "../compare/table.ts";
import { idleBackend, idlePlatform, type Backend } from "./idle.ts";

/** By path, as the peer names them: nanoseconds, and bytes for what is kept. */
export type Figures = Readonly<Record<string, number>>;

const [root, name] = process.argv.slice(2) as [string, string];
const smoke = process.argv.includes("--smoke");
const mixedAt = process.argv.indexOf("--mixed");
const mixed = mixedAt < 0 ? 0 : Number(process.argv[mixedAt + 1]);

const library = await loadLibrary(root);
const { VfioPciDevice, RecordedDevice, MemoryPlatform } = library.device;
type Device = ReturnType<typeof VfioPciDevice.attach>;

const recordings = new Map<string, ReturnType<typeof library.image.readImage>>();
function recording(device: string) {
  let image = recordings.get(device);
  if (!image)
    recordings.set(device, (image = library.image.readImage(library.text(`images/${device}.json`))));
  return image;
}

/** Of a device like others: its interrupt line, and its serial number where it has one, are its own. */
function alike(device: string, number: number): Backend {
  const image = recording(device);
  const config = image.config.slice();
  config[0x3c] = number;
  const view = new DataView(config.buffer);
  for (let at = 0x100; at && at + 12 <= config.length; at = view.getUint16(at + 2, true) >>> 4)
    if (view.getUint16(at, true) === 3) view.setUint32(at + 4, number, true);
  return idleBackend(library, { ...image, config });
}

/** As the guest's firmware leaves it. */
function decode(device: Device): Device {
  device.configWrite(4, 2, 0x7);
  return device;
}

function capability(device: Device, id: number): number {
  let at = device.configRead(0x34, 1);
  for (let hops = 0; at >= 0x40 && hops < 48; hops++, at = device.configRead(at + 1, 1))
    if (device.configRead(at, 1) === id) return at;
  throw new Error(`${name} has no capability ${id}`);
}
const barOf = (device: Device, bar: number): number =>
  device.describe().bars.find(({ region }) => region === bar)!.address!;

/** Devices of all kinds, each used a little: call sites have seen everything then. */
function crowd(count: number): Device[] {
  const names = ["nvme", "virtio-net", "edu", "igb"];
  return Array.from({ length: count }, (_, i) => {
    const kind = names[i & 3]!;
    const isIdle = (i & 4) === 0;
    const backend = isIdle ? alike(kind, i) : new RecordedDevice(recording(kind));
    const device = decode(
      VfioPciDevice.attach(backend, isIdle ? idlePlatform({ count: 0 }) : new MemoryPlatform()),
    );
    const data = new Uint8Array(4);
    for (let at = 0; at < 256; at += 4) device.configRead(at, 4);
    for (const { address, kind } of device.describe().bars)
      for (let k = 0; k < 8 && address !== undefined; k++)
        if (kind === "io") device.ioRead(address + 4 * k, data);
        else if (device.mmioRead(address + 4 * k, data)) device.mmioWrite(address + 4 * k, data);
    return device;
  });
}

const rounds = smoke ? 1 : 9;
const accesses = smoke ? 100 : 200_000;
const sink: { last: unknown } = { last: undefined };

/** Nanoseconds of this thread an access. */
function time(act: (i: number) => unknown, count = accesses): number {
  const round = (): number => {
    const start = processorTime();
    for (let i = 0; i < count; i++) sink.last = act(i);
    return Number(processorTime() - start) / count;
  };
  round();
  return median(Array.from({ length: rounds }, round));
}

const kept = crowd(mixed);
const updates = { count: 0 };
const device = decode(VfioPciDevice.attach(alike(name, 1), idlePlatform(updates)));
const msix = capability(device, 0x11);
const bar = barOf(device, device.configRead(msix + 4, 1) & 7);
const table = bar + (device.configRead(msix + 4, 4) & ~7);
const vectors = Math.min(32, (device.configRead(msix + 2, 2) & 0x7ff) + 1);
const register = table > bar ? bar : barOf(device, 0);
const [data, masked, unmasked] = [new Uint8Array(4), Uint8Array.of(1, 0, 0, 0), new Uint8Array(4)];
const entry = (i: number, dword: number): number => table + 16 * (i % vectors) + 4 * dword;
const passed: number[] = [];
{
  // Dwords of which the model asks the device each time.
  const counts = { reads: 0 };
  const backend = alike(name, 1);
  const read = backend.read.bind(backend);
  backend.read = (region, offset, into) => {
    counts.reads++;
    read(region, offset, into);
  };
  const asked = VfioPciDevice.attach(backend, idlePlatform({ count: 0 }));
  for (let at = 0; at < 256; at += 4) {
    asked.configRead(at, 4);
    const before = counts.reads;
    asked.configRead(at, 4);
    if (counts.reads > before) passed.push(at);
  }
}
function writeData(i: number): boolean {
  data[0] = i;
  data[1] = i >>> 8;
  data[2] = i >>> 16;
  return device.mmioWrite(entry(i, 2), data);
}
const attach = (): Device => decode(VfioPciDevice.attach(alike(name, next++), idlePlatform(updates)));
let next = 0;

const found: Record<string, number> = {};
found["bar-read"] = time(() => device.mmioRead(register, data));
found["bar-write"] = time(() => device.mmioWrite(register + 4, data));
found["msix-write-off"] = time(writeData);
found["msix-read"] = time((i) => device.mmioRead(entry(i, 2), data));
device.configWrite(msix + 2, 2, 0x8000);
for (let i = 0; i < vectors; i++) {
  device.mmioWrite(entry(i, 0), Uint8Array.of(0, 0, 0xe0, 0xfe));
  device.mmioWrite(entry(i, 3), unmasked);
}
found["msix-write-on"] = time(writeData);
found["msix-mask-flip"] = time((i) => device.mmioWrite(entry(i >> 1, 3), i & 1 ? unmasked : masked));
found["config-read-passed"] = time((i) => device.configRead(passed[i % passed.length]!, 4));
found["config-write"] = time((i) => device.configWrite(0x3c, 1, i & 0xff));
found["config-read-emulated"] = time(() => device.configRead(0x10, 4));
{
  const count = smoke ? 10 : 200;
  const made = Array.from({ length: count }, () => [alike(name, next++), idlePlatform(updates)] as const);
  for (let i = 0; i < (smoke ? 1 : 1000); i++) attach()[Symbol.dispose]();
  const times = made.map(([backend, platform]) => {
    const start = processorTime();
    kept.push(decode(VfioPciDevice.attach(backend, platform)));
    return Number(processorTime() - start);
  });
  found["attach"] = median(times);
}
{
  const count = smoke ? 3 : 500;
  const made = Array.from({ length: count }, () => [alike(name, next++), idlePlatform(updates)] as const);
  Bun.gc(true);
  const before = heapStats().heapSize;
  for (const [backend, platform] of made) kept.push(decode(VfioPciDevice.attach(backend, platform)));
  Bun.gc(true);
  found["heap-bytes"] = (heapStats().heapSize - before) / count;
}
sink.last = kept;
console.log(JSON.stringify(found));
process.exit(0);
