import { describe, expect, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import {
  Eventfd,
  FileDescriptor,
  MemoryFile,
  formatSyscall,
  pageSize,
  traceSyscalls,
  type Syscall,
} from "../../src/ffi/index.ts";
import { systemCalls } from "../../src/ffi/system-calls.ts";
import { vfioRequest } from "../../src/regs/ioctl/index.ts";

const call = (name: string, args: unknown[], result: number, code?: string): Syscall => ({
  name,
  args,
  result,
  code,
  errno: code === undefined ? undefined : 1,
  microseconds: 1.25,
});

describe("the trace", () => {
  test("has each call with arguments, result, errno and time", () => {
    const calls: (Syscall & { readonly text: string })[] = [];
    pageSize(); // Asked for once in a process, by whoever needs it first.
    const trace = traceSyscalls((one) => calls.push({ ...one, text: formatSyscall(one) }));
    using file = new MemoryFile({ size: 4096, name: "memory" });
    const data = new Uint8Array(2);
    file.readAt(16, data);
    expect(() => FileDescriptor.open("/dev/none")).toThrow("ENOENT");
    trace[Symbol.dispose]();
    file.readAt(16, data);
    expect(calls.map(({ name }) => name)).toEqual(["memfd_create", "ftruncate", "fcntl", "pread", "openat"]);
    expect(calls[3]).toMatchObject({
      args: [file.fd, data, 2, 16],
      result: 2,
      code: undefined,
      errno: undefined,
    });
    expect(calls[4]).toMatchObject({ result: -1, code: "ENOENT", errno: 2 });
    for (const { microseconds } of calls) expect(microseconds).toBeGreaterThan(0);
    const texts = calls.map(({ text }) => text.replace(/ <\d+\.\d us>$/, ""));
    expect(texts).toEqual([
      `memfd_create("memory", 3) = ${file.fd}`,
      `ftruncate(${file.fd}, 0x1000) = 0`,
      `fcntl(${file.fd}, 1033, 7) = 0`,
      `pread(${file.fd}, [00 00], 2, 16) = 2`,
      'openat(-100, "/dev/none", 0x80002, 0) = -1 ENOENT',
    ]);
  });

  test("changes no results, whatever its listener calls", () => {
    using eventfd = new Eventfd();
    let told = 0;
    using _ = traceSyscalls(() => {
      told++;
      // Failures of others, of this library and of Bun.
      systemCalls().close(-1);
      statSync("/none", { throwIfNoEntry: false });
    });
    expect(systemCalls().prlimit64(0, -1, null, new Uint8Array(16))).toBe(-22);
    expect([systemCalls().ioctlInteger(-1, 0, 0), told]).toEqual([-9, 2]);
    expect(eventfd.drain()).toBe(0);
  });

  test("tells every listener, each until it is disposed of; the same may listen twice", () => {
    let calls = 0;
    const listener = (): number => calls++;
    const first = traceSyscalls(listener);
    const second = traceSyscalls(listener);
    systemCalls().close(-1);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    systemCalls().close(-1);
    second[Symbol.dispose]();
    systemCalls().close(-1);
    expect(calls).toBe(3);
  });

  test("that nobody listens to costs nothing: the plain functions are called", () => {
    const plain = systemCalls();
    const trace = traceSyscalls(() => {});
    expect(systemCalls()).not.toBe(plain);
    trace[Symbol.dispose]();
    expect(systemCalls()).toBe(plain);
  });

  test("names requests, both where a number has two, and shortens buffers", () => {
    const text = (request: number, argument: unknown): string =>
      formatSyscall(call("ioctl", [7, request, argument], -1, "EBUSY"));
    expect(text(vfioRequest.DEVICE_RESET, 0)).toBe("ioctl(7, VFIO_DEVICE_RESET, 0) = -1 EBUSY <1.3 us>");
    expect(text(vfioRequest.IOMMU_MAP_DMA, null)).toBe(
      "ioctl(7, VFIO_DEVICE_PCI_HOT_RESET|VFIO_IOMMU_MAP_DMA, NULL) = -1 EBUSY <1.3 us>",
    );
    expect(text(0xc0345678, new Uint8Array(40))).toBe(
      `ioctl(7, 0xc0345678, [${"00 ".repeat(32)}... 40 bytes]) = -1 EBUSY <1.3 us>`,
    );
  });

  test.each([
    ["1", 'openat(-100, "/dev/none", 0x80002, 0) = -1 ENOENT <'],
    ["0", ""],
    [undefined, ""],
  ])("is printed with BUN_VFIO_TRACE=%s", (value, expected) => {
    const index = join(import.meta.dir, "../../src/ffi/index.ts");
    const program = `
      import { FileDescriptor } from ${JSON.stringify(index)};
      try { FileDescriptor.open("/dev/none"); } catch ({ code }) { console.log(code); }
    `;
    const { BUN_VFIO_TRACE: _, ...env } = process.env;
    const run = Bun.spawnSync([process.execPath, "-e", program], {
      env: value === undefined ? env : { ...env, BUN_VFIO_TRACE: value },
      stderr: "pipe",
    });
    expect(run.stdout.toString()).toBe("ENOENT\n");
    expect(run.stderr.toString().slice(0, Math.max(expected.length, 1))).toBe(expected);
  });
});
