// `reset_method` of sysfs: how the kernel resets a function, in the order in which it tries.
import { writeFileSync } from "node:fs";
import { VfioError } from "../../../ffi/errors.ts";
import { deviceFolder } from "../../host/device-folder.ts";
import type { Sysroot } from "../../host/sysroot.ts";

const known = /^[a-z0-9_]+$/;

/** As `flr`, `pm`, `bus`, in the order in which they are tried; none where the function cannot be reset alone. */
export const resetMethods = (host: Sysroot, bdf: string): string[] =>
  (host.text(`${deviceFolder(bdf)}/reset_method`) ?? "").split(/\s+/).filter((name) => name !== "");

/**
 * Chooses how the function is reset. @param methods of those that it has, or `default`; none turns resets off
 * @throws VfioError where sysfs does not take it, RangeError for a name that is none
 */
export function setResetMethods(host: Sysroot, bdf: string, methods: readonly string[]): void {
  for (const name of methods)
    if (!known.test(name)) throw new RangeError(`${JSON.stringify(name)} is no reset method`);
  const path = `${deviceFolder(bdf)}/reset_method`;
  try {
    // One write: sysfs takes each for the whole list.
    writeFileSync(host.at(path), `${methods.join(" ")}\n`);
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    throw new VfioError(`${bdf}: ${path} does not take "${methods.join(" ")}"`, {
      code: typeof code === "string" ? code : "EIO",
      syscall: "write",
      device: bdf,
      hint: `The function can be reset by: ${resetMethods(host, bdf).join(", ") || "nothing"}; only root may choose.`,
      cause,
    });
  }
}
