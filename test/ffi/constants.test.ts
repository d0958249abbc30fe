// The numbers of this library against the C headers of the machine that the tests run on.
import { expect, test } from "bun:test";
import * as constants from "../../src/ffi/constants.ts";
import { epollDataOffset, epollEventSize } from "../../src/ffi/epoll-event.ts";
import { errnoName, errnoNumber } from "../../src/ffi/errno.ts";
import { statLayout } from "../../src/ffi/file-status.ts";
import { Sandbox } from "../support/sandbox.ts";
import { compile, compilerTest } from "./support/compiler.ts";

const prefixes: Record<keyof typeof constants, string> = {
  openFlag: "O_",
  fcntlCommand: "F_",
  sealFlag: "F_SEAL_",
  memfdFlag: "MFD_",
  protection: "PROT_",
  mapFlag: "MAP_",
  memoryAdvice: "MADV_",
  pollFlag: "POLL",
  epollOperation: "EPOLL_CTL_",
  epollFlag: "EPOLL",
  eventfdFlag: "EFD_",
  resourceLimit: "RLIMIT_",
  socketFamily: "AF_",
  socketType: "SOCK_",
  socketShutdown: "SHUT_",
  socketLevel: "SOL_",
  socketOption: "SO_",
  ancillaryType: "SCM_",
  messageFlag: "MSG_",
  aioCommand: "IOCB_CMD_",
  aioFlag: "IOCB_FLAG_",
  transferFlag: "RWF_",
  signalNumber: "SIG",
  signalMask: "SIG_",
};
const headers = [
  "errno",
  "fcntl",
  "poll",
  "signal",
  "stdio",
  "stddef",
  "unistd",
  "linux/memfd",
  "linux/aio_abi",
];
const systemHeaders = [
  "sys/epoll",
  "sys/eventfd",
  "sys/mman",
  "sys/resource",
  "sys/socket",
  "sys/stat",
  "sys/syscall",
];

/** What the C compiler has for each expression. */
function compiled(expressions: readonly string[]): Record<string, number> {
  using sandbox = new Sandbox();
  const source = sandbox.write(
    "numbers.c",
    [
      "#define _GNU_SOURCE",
      ...[...headers, ...systemHeaders].map((name) => `#include <${name}.h>`),
      "int main(void) {",
      ...expressions.map((text) => `  printf("%lld\\n", (long long)(${text}));`),
      "}",
    ].join("\n"),
  );
  const run = Bun.spawnSync([compile(sandbox, source)]);
  const numbers = run.stdout.toString().trim().split("\n").map(Number);
  return Object.fromEntries(expressions.map((text, i) => [text, numbers[i]!]));
}

compilerTest("every constant is that of the C headers", () => {
  const ours = Object.entries(constants).flatMap(([table, values]) =>
    Object.entries(values).map(
      ([key, value]) => [`${prefixes[table as keyof typeof constants]}${key}`, value] as const,
    ),
  );
  expect(ours.length).toBeGreaterThan(30);
  const facts: Record<string, number> = {
    ...Object.fromEntries(ours),
    "sizeof(struct epoll_event)": epollEventSize,
    "offsetof(struct epoll_event, data)": epollDataOffset,
    "offsetof(struct stat, st_dev)": 0,
    "offsetof(struct stat, st_ino)": 8,
    "offsetof(struct stat, st_mode)": statLayout.mode,
    "offsetof(struct stat, st_size)": statLayout.size,
    _SC_PAGESIZE: 30,
    EPOLL_CLOEXEC: 0o2000000,
  };
  expect(compiled(Object.keys(facts))).toEqual(facts);
});

compilerTest("every errno has the name of the C headers", () => {
  const macros = Bun.spawnSync([
    Bun.which("cc") ?? "gcc",
    "-E",
    "-dM",
    "-include",
    "errno.h",
    "-xc",
    "/dev/null",
  ]);
  const names = [...macros.stdout.toString().matchAll(/^#define (E[A-Z0-9]+) (\d+)$/gm)];
  expect(names.length).toBeGreaterThan(120);
  expect(names.filter(([, name, errno]) => errnoName(Number(errno)) !== name)).toEqual([]);
  expect(names.filter(([, name, errno]) => errnoNumber(name!) !== Number(errno))).toEqual([]);
});

test("an errno without a name is shown as a number, and a name that is none has no number", () => {
  expect(errnoName(4000)).toBe("E4000");
  expect(errnoNumber("ECLOSED")).toBeUndefined();
});
