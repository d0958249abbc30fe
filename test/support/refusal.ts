import { VfioError } from "../../src/ffi/errors.ts";

/** The `VfioError` of a call that must throw one; any other error goes on, and a call that does not throw is one. */
export function refusal(act: () => unknown): VfioError {
  try {
    act();
  } catch (error) {
    if (error instanceof VfioError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
