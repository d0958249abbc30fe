// What a program that runs under strace uses: marks that strace sees, and what this library's own trace says meanwhile.
import { cString } from "../../../../src/ffi/c-string.ts";
import { systemCalls } from "../../../../src/ffi/system-calls.ts";
import { traceSyscalls } from "../../../../src/ffi/trace.ts";
import type { OwnCall } from "./strace.ts";

/** Folder that is nowhere: an attempt to open what is in it changes nothing, and strace shows its name. */
export const markFolder = "/marks-of-a-test/";
const end = "";
/** AT_FDCWD. */
const currentFolder = -100;

function mark(name: string): void {
  systemCalls().openat(currentFolder, cString(markFolder + name), 0, 0);
}

/** Does something between two marks. */
export function measured<T>(name: string, act: () => T): T {
  mark(name);
  try {
    return act();
  } finally {
    mark(end);
  }
}

/** From now on, the calls that the library says it makes. */
export function ownCalls(): OwnCall[] {
  const calls: OwnCall[] = [];
  traceSyscalls(({ name, args, result }) => {
    const path = name === "openat" ? new TextDecoder().decode((args[1] as Uint8Array).subarray(0, -1)) : "";
    const numbers = args.map((one) =>
      typeof one === "number" || typeof one === "bigint" ? Number(one) : -1,
    );
    calls.push({ name, args: numbers, result: Number(result), path });
  });
  return calls;
}
