// The viewer's page of a million entries in chromium: until it is ready, and from a move on its time line to the state there.
// `--smoke` makes a small one, and measures nothing.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FlightRecorder, MemoryPlatform, readFlight, RecordedDevice, VfioPciDevice } from "bun-vfio";
import { readImage } from "bun-vfio/image";
import { chromium } from "playwright-core";
import { flightData } from "../src/view/flight-data.ts";
import { pageHtml } from "../src/view/page-html.ts";
import { pageParts } from "../src/view/page-parts.ts";

const smoke = process.argv.includes("--smoke");
const entries = smoke ? 10_000 : 1_000_000;
const rounds = smoke ? 1 : 5;
const points = smoke ? 3 : 100;
const folder = mkdtempSync(join(tmpdir(), "bun-vfio-bench-"));

/** A guest that reads registers, config space, and moves its BAR now and then. */
function record(path: string): void {
  using recorder = new FlightRecorder({ entries });
  using platform = new MemoryPlatform();
  const image = readImage(readFileSync(join(import.meta.dir, "../images/nvme.json"), "utf8"));
  using device = VfioPciDevice.attach(new RecordedDevice(image), platform, { trace: recorder });
  const data = new Uint8Array(new ArrayBuffer(4));
  const bases = [0xd000_0000, 0xd800_0000];
  for (let round = 0; recorder.count < entries - 100; round++) {
    const base = bases[Math.floor(round / 1000) % 2]!;
    if (round % 1000 === 0) {
      device.configWrite(0x04, 2, 0);
      device.configWrite(0x10, 4, base);
      device.configWrite(0x14, 4, 0);
      device.configWrite(0x04, 2, 6);
    }
    device.mmioRead(base + 0x3000 + 4 * (round % 2), data);
    if (round % 10 === 0) device.configRead(4 * (round % 64), 4);
  }
  recorder.save(path);
}

const flight = join(folder, "bench.flight");
const page = join(folder, "bench.html");
record(flight);
const bytes = readFileSync(flight);
const made = performance.now();
const recording = readFlight(bytes, flight);
const { flight: held, device } = flightData(bytes, recording, flight);
const about = { title: "bench", made: "", live: false, host: undefined };
writeFileSync(page, pageHtml({ ...about, devices: device ? [device] : [], flight: held }, await pageParts()));
console.log(
  `${recording.count} entries: a page of ${(statSync(page).size / 1e6).toFixed(1)} MB in ${(performance.now() - made).toFixed(0)} ms`,
);

/** Moves to places of the time line, one after the other, and waits for each to be drawn. */
const scrub = `(async () => {
  const line = document.querySelector("canvas.time");
  const box = line.getBoundingClientRect();
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const times = [];
  for (let i = 0; i < ${points}; i++) {
    const clientX = box.left + 80 + (box.width - 90) * ((i * 0.618034) % 1);
    const from = performance.now();
    line.dispatchEvent(new PointerEvent("pointermove", { buttons: 1, clientX, clientY: box.top + 10 }));
    await frame();
    await frame();
    times.push(performance.now() - from);
  }
  return times;
})()`;

const browser = await chromium.launch({
  executablePath: Bun.which("chromium") ?? "chromium",
  args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
});
const opened: number[] = [];
const moved: number[] = [];
/** Of the page's process, in milliseconds: what a busy machine does not add to. */
const openedCpu: number[] = [];
const movedCpu: number[] = [];
const cdp = await browser.newBrowserCDPSession();
async function rendererCpu(): Promise<number> {
  const { processInfo } = await cdp.send("SystemInfo.getProcessInfo");
  return 1000 * processInfo.reduce((sum, { type, cpuTime }) => sum + (type === "renderer" ? cpuTime : 0), 0);
}
for (let round = 0; round < rounds; round++) {
  const tab = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  const cpu = await rendererCpu();
  const from = performance.now();
  await tab.goto(`file://${page}`);
  await tab.waitForSelector("html[data-ready=true]");
  opened.push(performance.now() - from);
  const ready = await rendererCpu();
  openedCpu.push(ready - cpu);
  moved.push(...(await tab.evaluate<number[]>(scrub)));
  movedCpu.push(((await rendererCpu()) - ready) / points);
  await tab.close();
}
await browser.close();
rmSync(folder, { recursive: true });
const sorted = (times: readonly number[]): readonly number[] => times.toSorted((a, b) => a - b);
const at = (times: readonly number[], share: number): string =>
  `${sorted(times)[Math.floor((times.length - 1) * share)]!.toFixed(0)} ms`;
const told = [
  `open: ${at(opened, 0)} to ${at(opened, 1)}, median ${at(opened, 0.5)}; processor ${at(openedCpu, 0.5)}`,
  `to a point, drawn: median ${at(moved, 0.5)}, 99 % ${at(moved, 0.99)}, most ${at(moved, 1)}; processor ${at(movedCpu, 0.5)}`,
];
console.log(smoke ? "it opens, and is scrubbed" : told.join("\n"));
