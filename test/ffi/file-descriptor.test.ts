import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import {
  FileDescriptor,
  fileStatus,
  Mapping,
  MemoryFile,
  PollSet,
  readAt,
  sealAgainstShrinking,
  writeAt,
} from "../../src/ffi/index.ts";
import { traceSyscalls } from "../../src/ffi/trace.ts";
import { Sandbox } from "../support/sandbox.ts";
import { refusal } from "../support/refusal.ts";

const open = (): number => readdirSync("/proc/self/fd").length;

describe("a file descriptor", () => {
  test("reads and writes at offsets, with one call each", () => {
    using sandbox = new Sandbox();
    using file = FileDescriptor.open(sandbox.write("file", "0123456789"));
    const calls: string[] = [];
    using _ = traceSyscalls(({ name }) => calls.push(name));
    file.writeAt(2, new TextEncoder().encode("abc"));
    const data = new Uint8Array(6);
    file.readAt(1, data);
    expect(new TextDecoder().decode(data)).toBe("1abc56");
    file.readAt(4, new Uint8Array(0));
    expect(calls).toEqual(["pwrite", "pread", "pread"]);
  });

  test("reaches beyond 4 GiB", () => {
    using sandbox = new Sandbox();
    using file = FileDescriptor.open(sandbox.write("file", ""));
    file.writeAt(2 ** 40 + 1, Uint8Array.of(7));
    const data = new Uint8Array(2);
    file.readAt(2 ** 40, data);
    expect([...data]).toEqual([0, 7]);
  });

  test("that ends early says so", () => {
    using sandbox = new Sandbox();
    using file = FileDescriptor.open(sandbox.write("file", "0123"), {
      name: "config space",
      device: "0000:01:00.0",
    });
    const error = refusal(() => file.readAt(2, new Uint8Array(4)));
    expect(error).toMatchObject({ code: "ESHORT", syscall: "pread", device: "0000:01:00.0" });
    expect(error.message).toBe("config space: 4 bytes at 0x2: pread ends after 2 bytes");
  });

  test("names path, call, errno, device and hint of a failure", () => {
    const hint = (code: string): string => `about ${code}`;
    const error = refusal(() =>
      FileDescriptor.open("/dev/none", { name: "group 12", device: "0000:01:00.0", hint }),
    );
    expect(error).toMatchObject({
      code: "ENOENT",
      errno: 2,
      syscall: "open",
      device: "0000:01:00.0",
      hint: "about ENOENT",
    });
    expect(error.message).toBe("group 12: /dev/none: open fails with ENOENT");
    expect(refusal(() => FileDescriptor.open("/dev/none")).message).toBe("/dev/none: open fails with ENOENT");
    using read = FileDescriptor.open("/dev/null", { access: "r" });
    expect(refusal(() => read.writeAt(0x40, Uint8Array.of(1))).message).toBe(
      "/dev/null: 1 bytes at 0x40: pwrite fails with EBADF",
    );
  });

  test("refuses what is no descriptor, offset or path", () => {
    using file = FileDescriptor.open("/dev/zero");
    for (const fd of [-1, 0.5, 2 ** 31, NaN]) {
      expect(() => new FileDescriptor(fd, "file")).toThrow(RangeError);
      expect(() => FileDescriptor.duplicate(fd, "file")).toThrow(RangeError);
    }
    expect(() => new FileDescriptor("1" as unknown as number, "file")).toThrow(TypeError);
    for (const offset of [-1, 0.5, 2 ** 53, NaN])
      expect(() => file.readAt(offset, new Uint8Array(1))).toThrow(RangeError);
    expect(() => file.writeAt(1n as unknown as number, new Uint8Array(1))).toThrow(TypeError);
    // More bytes than there are would be written over what lies behind them.
    const longer = Object.defineProperty(new Uint8Array(8), "length", { value: 2 ** 26 });
    for (const data of [
      longer,
      new Uint32Array(2),
      new DataView(new ArrayBuffer(4)),
      [1],
      "1",
      null,
    ] as never[]) {
      expect(() => file.readAt(0, data)).toThrow(new TypeError("/dev/zero: bytes must be a Uint8Array"));
      expect(() => file.writeAt(0, data)).toThrow(TypeError);
    }
    for (const fd of [2 ** 32 + file.fd, file.fd + 0.5, NaN]) {
      expect(() => readAt(fd, 0, new Uint8Array(1), "file")).toThrow(RangeError);
      expect(() => writeAt(fd, 0, new Uint8Array(1), "file")).toThrow(RangeError);
    }
    expect(() => FileDescriptor.open("/dev/\0null")).toThrow(RangeError);
    expect(refusal(() => FileDescriptor.duplicate(999_999, "file")).code).toBe("EBADF");
  });

  test("of above 32 bits is never another one: not looked at, not sealed, not mapped, not waited for", () => {
    using file = new MemoryFile({ size: 4096, name: "memory" });
    const poll = new PollSet(1);
    const uses = [
      (fd: number) => fileStatus(fd, "file"),
      sealAgainstShrinking,
      (fd: number) => new Mapping({ fd, size: 4096, name: "file" }),
      (fd: number) => poll.set(fd),
    ];
    for (const use of uses) {
      for (const fd of [2 ** 32 + file.fd, file.fd + 0.5, NaN]) expect(() => use(fd)).toThrow(RangeError);
      expect(() => use(String(file.fd) as never)).toThrow(TypeError);
    }
    expect(sealAgainstShrinking(file.fd)).toBe(true);
  });

  test("is closed once, and refuses use afterwards", () => {
    const before = open();
    const file = FileDescriptor.open("/dev/zero");
    const own = FileDescriptor.duplicate(file.fd, "its double");
    expect([open(), file.closed]).toEqual([before + 2, false]);
    file[Symbol.dispose]();
    // Whoever gets the number next must keep it.
    using next = FileDescriptor.open("/dev/zero");
    file[Symbol.dispose]();
    next.readAt(0, new Uint8Array(1));
    own.readAt(0, new Uint8Array(1));
    own[Symbol.dispose]();
    expect([open(), file.closed]).toEqual([before + 1, true]);
    for (const use of [
      () => file.fd,
      () => file.readAt(0, new Uint8Array(1)),
      () => file.writeAt(0, new Uint8Array(1)),
    ])
      expect(refusal(use)).toMatchObject({ code: "ECLOSED", message: "/dev/zero is closed" });
  });

  test("is not inherited by a program that is started", () => {
    using file = FileDescriptor.open("/dev/zero");
    using own = FileDescriptor.duplicate(file.fd, "its double");
    const list = Bun.spawnSync(["sh", "-c", "ls /proc/self/fd"])
      .stdout.toString()
      .trim()
      .split("\n")
      .map(Number);
    // `ls` has a descriptor of the folder, which may have one of the numbers.
    expect(list.length).toBeLessThanOrEqual(4);
    expect(list).toContain(0);
    expect(own.fd).toBeGreaterThan(2);
  });
});
