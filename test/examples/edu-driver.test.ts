// The driver of examples/edu without VFIO: its device is written in TypeScript, in a process of its own, and reached by a socket.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IrqIndex, RecordedDevice, RegionIndex } from "bun-vfio";
import { Eventfd } from "bun-vfio/ffi";
import { readImage } from "bun-vfio/image";
import { connectDevice, type VfioUserClient } from "bun-vfio/vfio-user";
import { Edu } from "../../examples/edu/edu.ts";
import { addressLimit, ownMemory } from "../../examples/edu/registers.ts";

let folder: string;
let server: Bun.Subprocess<"ignore", "pipe">;
let device: VfioUserClient;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "edu-"));
  const socket = join(folder, "edu.sock");
  const program = `
    import { serveDeviceBlocking } from "bun-vfio/vfio-user";
    import { edu } from ${JSON.stringify(join(import.meta.dir, "../../examples/devices/edu.ts"))};
    const onListening = () => console.log("listening");
    serveDeviceBlocking(edu, { socket: ${JSON.stringify(socket)}, onListening });`;
  server = Bun.spawn([process.execPath, "-e", program], {
    stdin: "ignore",
    stdout: "pipe",
    cwd: import.meta.dir,
  });
  await server.stdout.getReader().read();
  device = connectDevice(socket, { timeout: 10_000 });
});
afterAll(async () => {
  device[Symbol.dispose]();
  server.kill();
  await server.exited;
  rmSync(folder, { recursive: true });
});

/** The device's one message, as it comes. */
function message(): Eventfd {
  const eventfd = new Eventfd();
  const data = { kind: "eventfd", fds: [eventfd.fd] } as const;
  device.setIrqs({ index: IrqIndex.msi, action: "trigger", start: 0, data });
  return eventfd;
}

test("it computes, asked again and again, and by interrupt", () => {
  using edu = new Edu(device);
  using vector = message();
  expect(edu.registers.identification.read()).toMatchObject({ magic: 0xed, major: 1 });
  expect(edu.factorial(10)).toBe(3628800);
  expect(edu.factorialByInterrupt(12, vector)).toBe(479001600);
});

test("it moves memory to the device and back", () => {
  using edu = new Edu(device);
  using vector = message();
  using buffer = device.dma.allocate(2 * ownMemory.size, { below: addressLimit, label: "edu's buffer" });
  const half = ownMemory.size;
  const pattern = Uint8Array.from({ length: half }, (_, i) => (i * 7 + 3) & 0xff);
  buffer.bytes.set(pattern);
  edu.transfer("to device", buffer.iova, half, vector);
  edu.transfer("to memory", buffer.iova + half, half, vector);
  expect(buffer.bytes.slice(half)).toEqual(pattern);
  expect(() => edu.transfer("to device", buffer.iova, half + 1, vector)).toThrow(RangeError);
});

test("it leaves the device without bus mastering, and knows one that is none of its own", () => {
  new Edu(device)[Symbol.dispose]();
  const command = new Uint8Array(2);
  device.read(RegionIndex.config, 4, command);
  expect(command[0]! & 4).toBe(0);
  using other = new RecordedDevice(readImage(readFileSync("images/nvme.json", "utf8")));
  expect(() => new Edu(other)).toThrow("is no edu device of version 1");
});
