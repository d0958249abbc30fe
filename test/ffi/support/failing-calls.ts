// Runs with poison.c preloaded: functions of the FFI floor that fail, again and again, while memory is collected.
import { dlopen, read } from "bun:ffi";
import { VfioError } from "../../../src/ffi/errors.ts";
import { Eventfd } from "../../../src/ffi/eventfd.ts";
import { readAt, writeAt } from "../../../src/ffi/file-io.ts";
import { FileDescriptor } from "../../../src/ffi/file-descriptor.ts";
import { ioctl, ioctlOrErrno } from "../../../src/ffi/ioctl.ts";
import { Mapping } from "../../../src/ffi/index.ts";
import { systemCalls } from "../../../src/ffi/system-calls.ts";

const rounds = 3000;
const notTty = 25;
using file = FileDescriptor.open("/dev/zero", { access: "rw" });
using eventfd = new Eventfd();
const data = new Uint8Array(new ArrayBuffer(8));
const closed = 2 ** 30;

/** By what fails, the errno that it fails with; a number that is returned is minus the errno. */
const failing: Readonly<Record<string, readonly [() => unknown, number]>> = {
  open: [() => FileDescriptor.open("/dev/vfio/none"), 2],
  fcntl: [() => FileDescriptor.duplicate(closed, "none"), 9],
  pread: [() => readAt(eventfd.fd, 0, data, "an eventfd"), 29],
  pwrite: [() => writeAt(closed, 0, data, "none"), 9],
  ioctl: [() => ioctl(file.fd, 0x3b6b, data, { request: "VFIO_DEVICE_GET_INFO" }), notTty],
  "ioctl, as a number": [() => ioctlOrErrno(file.fd, 0x3b6b, data), notTty],
  "ioctl of a number": [() => ioctlOrErrno(file.fd, 0x3b6b, 5), notTty],
  mmap: [() => new Mapping({ fd: eventfd.fd, size: 4096, name: "an eventfd" }), 19],
  eventfd: [() => new Eventfd(closed), 9],
  close: [() => systemCalls().close(-1), 9],
  prlimit64: [() => systemCalls().prlimit64(0, -1, null, data), 22],
};

const kept: unknown[] = [];
const wrong: Record<string, number> = {};
for (const [name, [act, errno]] of Object.entries(failing)) {
  wrong[name] = 0;
  for (let round = 0; round < rounds; round++) {
    kept[round % 64] = { array: new Uint8Array(round % 5000), text: `${round}`.repeat(20) };
    if (round % 500 === 0) Bun.gc(true);
    let seen: unknown;
    try {
      seen = act();
      if (typeof seen === "number") seen = -seen;
    } catch (error) {
      seen = error instanceof VfioError ? error.errno : error;
    }
    if (seen !== errno) wrong[name]++;
  }
}

// That the poison works: the C library's own errno, after something that the engine does.
const { close, __errno_location } = dlopen("libc.so.6", {
  close: { args: ["i32"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
}).symbols;
const errnoAt = __errno_location()!;
let poisoned = 0;
for (let i = 0; i < 100; i++) {
  close(-1);
  kept.push(new Uint8Array(2 ** 20));
  if (i % 64 === 0) kept.length = 0;
  Bun.gc(true);
  if (read.i32(errnoAt, 0) === 4095) poisoned++;
}
console.log(JSON.stringify({ wrong, poisoned }));
