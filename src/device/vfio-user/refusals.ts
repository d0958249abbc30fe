// How a request is refused: minus an errno in place of a size.
import { errnoNumber } from "../../ffi/errno.ts";
import { VfioError } from "../../ffi/errors.ts";

const minus = (name: string): number => -errnoNumber(name)!;

/** What a handler returns for a request that it does not do. */
export const refusal = {
  invalid: minus("EINVAL"),
  noSuchCommand: minus("ENOSYS"),
  notSupported: minus("EOPNOTSUPP"),
  noSuchFeature: minus("ENOTTY"),
  noSpace: minus("ENOSPC"),
  tooBig: minus("E2BIG"),
  fault: minus("EFAULT"),
  io: minus("EIO"),
} as const;

/** The errno of a failure, for a peer; EIO for one that has none. */
export const errnoOf = (error: unknown): number =>
  error instanceof VfioError ? (error.errno ?? errnoNumber(error.code) ?? -refusal.io) : -refusal.io;
