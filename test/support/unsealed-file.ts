// Memory as another program shares it: a memfd that nobody has sealed.
import { ftruncateSync } from "node:fs";
import { cString } from "../../src/ffi/c-string.ts";
import { memfdFlag } from "../../src/ffi/constants.ts";
import { FileDescriptor } from "../../src/ffi/index.ts";
import { systemCalls } from "../../src/ffi/system-calls.ts";

/** It may get smaller, and may be sealed. @param size in bytes */
export function unsealedFile(size: number): FileDescriptor {
  const flags = memfdFlag.CLOEXEC | memfdFlag.ALLOW_SEALING;
  const file = new FileDescriptor(systemCalls().memfd_create(cString("memory"), flags), "memory");
  ftruncateSync(file.fd, size);
  return file;
}
