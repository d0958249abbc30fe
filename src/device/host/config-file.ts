import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { errorText } from "./error-text.ts";
import { VfioError } from "../../ffi/errors.ts";
import { readConfigBytes } from "../../regs/config-reader.ts";
import type { Sysroot } from "./sysroot.ts";

const header = 64;
const sizes: readonly number[] = [header, 256, 4096];

const configPath = (bdf: string): string => `/sys/bus/pci/devices/${bdf}/config`;

/** Bytes that this process may read of an open `config`: Linux gives 64 of them to anyone, all to CAP_SYS_ADMIN. */
function readable(fd: number): number {
  const { size } = fstatSync(fd);
  const byte = new Uint8Array(1);
  if (readSync(fd, byte, 0, 1, header) === 1) return sizes.includes(size) ? size : 256;
  return readSync(fd, byte, 0, 1, header - 1) === 1 ? header : 0;
}

/** Bytes of a function's config space that this process can read: 0, 64, 256 or 4096. */
export function readableConfig(files: Sysroot, bdf: string): number {
  let fd: number | undefined;
  try {
    fd = openSync(files.at(configPath(bdf)), "r");
    return readable(fd);
  } catch {
    return 0;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/**
 * The config space of a function as far as this process may read it, without registers whose read has a side effect.
 * @returns 64 bytes without privileges, else 256 or 4096
 * @throws VfioError where it cannot be read
 */
export function readConfigFile(files: Sysroot, bdf: string): Uint8Array<ArrayBuffer> {
  let fd: number | undefined;
  try {
    const config = (fd = openSync(files.at(configPath(bdf)), "r"));
    return readConfigBytes(Math.max(header, readable(config)), (offset, into) => {
      for (let done = 0; done < into.length;) {
        const taken = readSync(config, into, done, into.length - done, offset + done);
        if (taken === 0)
          throw new VfioError(`${bdf}: config space ends at byte ${offset + done}`, {
            code: "ENODEV",
            syscall: "pread",
            device: bdf,
            hint: "The device went away while it was read: check that it still shows in lspci.",
          });
        done += taken;
      }
    });
  } catch (error) {
    if (error instanceof VfioError) throw error;
    const { code = "EIO", syscall } = error as NodeJS.ErrnoException;
    throw new VfioError(`${bdf}: cannot read its config space: ${errorText(error)}`, {
      code,
      syscall,
      request: configPath(bdf),
      device: bdf,
      cause: error,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
