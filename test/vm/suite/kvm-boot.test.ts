// machines: (kvm)
// A kernel of Debian's in a guest's memory, and that memory as a file.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GuestMemory, pcMemoryPlaces } from "../../../src/kvm/guest-memory.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import { VirtualMachine } from "../../../src/kvm/machine.ts";
import { loadMemory, saveMemory } from "../../../src/kvm/memory-image.ts";
import { parseBzImage } from "../../../src/kvm/x86/bzimage.ts";
import { loadLinux, memoryType, type LinuxOptions } from "../../../src/kvm/x86/load-linux.ts";
import "./support/devices.ts"; // refuses to run on a host

const mib = 2 ** 20;
const kvm = new Kvm();
const folder = mkdtempSync(join(tmpdir(), "boot-"));
afterAll(() => {
  kvm[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

function makeMemory(size: number) {
  const machine = new VirtualMachine(kvm);
  const memory = new GuestMemory(machine.slots, { places: pcMemoryPlaces(size) });
  const options = (more: Partial<LinuxOptions> = {}): LinuxOptions => ({
    kernel: parseBzImage(readFileSync("/out/vmlinuz"), "vmlinuz"),
    ...{ commandLine: "console=ttyS0", bootParams: 0x7000, commandLineAt: 0x2_0000, rsdp: 0xe_0000 },
    map: [
      { base: 0, size: 0x9_fc00, type: memoryType.ram },
      { base: mib, size: size - mib, type: memoryType.ram },
    ],
    ...more,
  });
  return {
    memory,
    options,
    [Symbol.dispose]() {
      memory[Symbol.dispose]();
      machine[Symbol.dispose]();
    },
  };
}

test("Linux finds itself, its initramfs, its command line and its memory where the parameters say", () => {
  using made = makeMemory(256 * mib);
  const { memory } = made;
  const initrd = new Uint8Array(5000).fill(7);
  const options = made.options({ initrd });
  const entry = loadLinux(memory, options);
  const { kernel } = options;
  expect(entry).toBe(kernel.address + 0x200);
  expect(Buffer.compare(memory.view(kernel.address, kernel.kernel.length), kernel.kernel)).toBe(0);
  const parameters = memory.view(0x7000, 4096);
  const view = new DataView(parameters.buffer, parameters.byteOffset);
  expect(new TextDecoder().decode(parameters.subarray(0x202, 0x206))).toBe("HdrS");
  const at = view.getUint32(0x218, true);
  expect([at % 4096, view.getUint32(0x21c, true)]).toEqual([0, 5000]);
  expect(memory.view(at, 5000)).toEqual(initrd);
  // As high as it may.
  expect(at).toBeGreaterThanOrEqual(256 * mib - 8192);
  expect(new TextDecoder().decode(memory.view(view.getUint32(0x228, true), 14))).toBe("console=ttyS0\0");
  expect([view.getBigUint64(0x70, true), view.getUint8(0x1e8)]).toEqual([0xe_0000n, 2]);
  expect([view.getBigUint64(0x2d0 + 20, true), view.getUint32(0x2d0 + 36, true)]).toEqual([BigInt(mib), 1]);
});

test("what does not fit is told with the numbers, and what would", () => {
  using made = makeMemory(64 * mib);
  const load = (more: Partial<LinuxOptions>) => () => loadLinux(made.memory, made.options(more));
  expect(load({ initrd: new Uint8Array(60 * mib) })).toThrow(
    expect.objectContaining({
      code: "ENOMEM",
      message: expect.stringMatching(
        /^kernel \(.* MiB from 16 MiB on\) and initramfs \(60 MiB\) do not fit into 64 MiB/,
      ),
      hint: expect.stringMatching(/^Give the guest more memory: \d+ MiB\.$/),
    }),
  );
  expect(load({ map: [] })).toThrow("do not fit into 0 MiB");
  expect(load({ commandLine: "x".repeat(3000) })).toThrow("at most 2047 bytes");
  expect(load({ map: Array(129).fill({ base: 0, size: 1, type: 1 }) })).toThrow(RangeError);
});

test("memory goes to a file, whose holes are what was never written, and comes back", () => {
  const file = join(folder, "memory");
  {
    using made = makeMemory(64 * mib);
    made.memory.write(0x1234, new TextEncoder().encode("low"));
    made.memory.write(64 * mib - 4, new TextEncoder().encode("high"));
    saveMemory(made.memory, file);
  }
  const { size, blocks } = statSync(file);
  // Behind the memory stand the words that say which it is.
  expect(size).toBeGreaterThan(64 * mib);
  expect(size).toBeLessThan(64 * mib + 4096);
  expect(512 * blocks).toBeLessThanOrEqual(8 * mib + 2 ** 16);
  using other = makeMemory(64 * mib);
  loadMemory(other.memory, file);
  const text = (at: number, length: number) => new TextDecoder().decode(other.memory.view(at, length));
  expect([text(0x1234, 3), text(64 * mib - 4, 4)]).toEqual(["low", "high"]);
  truncateSync(file, 63 * mib);
  expect(() => loadMemory(other.memory, file)).toThrow(`${file}: it is shorter than the guest's memory`);
});
