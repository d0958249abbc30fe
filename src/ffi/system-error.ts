import { errnoName } from "./errno.ts";
import { VfioError } from "./errors.ts";

/** On whose behalf a system call is made, and what helps where it fails. */
export interface FailureContext {
  /** BDF, or what else the call is for: `group 12`. */
  readonly device?: string | undefined;
  /** The next step a person can take, or what finds it by the errno's name: asked on failure only. */
  readonly hint?: string | ((code: string) => string | undefined) | undefined;
}

/**
 * The error of a failed system call.
 * @param errno minus what the call returned
 * @param what was tried on what: `/dev/vfio/12`
 */
export function systemError(
  syscall: string,
  errno: number,
  what: string,
  { device, hint }: FailureContext = {},
): VfioError {
  const code = errnoName(errno);
  return new VfioError(`${what}: ${syscall} fails with ${code}`, {
    code,
    errno,
    syscall,
    device,
    hint: typeof hint === "function" ? hint(code) : hint,
  });
}
