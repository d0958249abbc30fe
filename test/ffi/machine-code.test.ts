import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { allCode, callCode, stride } from "../../src/ffi/machine-code.ts";
import {
  architectures,
  callNumber,
  callTable,
  type Architecture,
  type CallName,
} from "../../src/ffi/system-call-table.ts";
import { Sandbox } from "../support/sandbox.ts";
import { compile, compilerTest } from "./support/compiler.ts";

// As an assembler gives them: `mov eax, 0x101; mov r10, rcx; syscall; ret` and `mov x8, #56; svc #0; ret`.
test("a call is four instructions on x86-64, three on aarch64", () => {
  expect(callCode(0x101, "x64").toHex()).toBe("b801010000" + "4989ca" + "0f05" + "c3");
  expect(callCode(56, "arm64").toHex()).toBe("080780d2" + "010000d4" + "c0035fd6");
});

test.each(architectures)("%s: each call has its own function, on a boundary, in one page", (architecture) => {
  const { code, offsets } = allCode(architecture);
  expect([...offsets.keys()]).toEqual(Object.keys(callTable) as CallName[]);
  expect(code.length).toBeLessThanOrEqual(4096);
  for (const [name, offset] of offsets) {
    const own = callCode(callNumber(name, architecture), architecture);
    expect(own.length).toBeLessThanOrEqual(stride);
    expect(code.subarray(offset, offset + own.length)).toEqual(own);
  }
});

/** The kernel's names, where they are not ours. */
const kernelNames: Partial<Record<CallName, string>> = {
  ioctlInteger: "ioctl",
  pread: "pread64",
  pwrite: "pwrite64",
};
const headers: Record<Architecture, string> = {
  x64: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
  arm64: "/usr/include/asm-generic/unistd.h",
};
const names = Object.keys(callTable) as CallName[];

compilerTest("the numbers are those of the kernel's headers, of both architectures", () => {
  using sandbox = new Sandbox();
  for (const architecture of architectures) {
    const header = headers[architecture];
    if (!existsSync(header)) throw new Error(`${header} is missing: it comes with linux-libc-dev`);
    const lines = names.map((name) => `printf("%d\\n", __NR_${kernelNames[name] ?? name});`);
    // The generic numbers leave some to be named by the architecture's word size.
    const source = ["#define __BITS_PER_LONG 64", "#define __ARCH_WANT_SYNC_FILE_RANGE2"]
      .concat(
        architecture === "arm64"
          ? ["#define __ARCH_WANT_SET_GET_RLIMIT", "#define __ARCH_WANT_NEW_STAT"]
          : [],
      )
      .concat([`#include "${header}"`, "int printf(const char *, ...);", "int main(void) {", ...lines, "}"]);
    const program = compile(sandbox, sandbox.write(`${architecture}.c`, source.join("\n")));
    const numbers = Bun.spawnSync([program]).stdout.toString().trim().split("\n").map(Number);
    expect(Object.fromEntries(names.map((name, i) => [name, numbers[i]]))).toEqual(
      Object.fromEntries(names.map((name) => [name, callNumber(name, architecture)])),
    );
  }
});
