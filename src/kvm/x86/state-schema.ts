import { z } from "zod";
import { VfioError } from "../../ffi/errors.ts";

/** Checks a state that comes from outside. @param what it is of, for people @throws VfioError (`EBADSTATE`) */
export function parsedState<State>(schema: z.ZodType<State>, state: unknown, what: string): State {
  const parsed = schema.safeParse(state);
  if (parsed.success) return parsed.data;
  throw new VfioError(`this is no state of ${what}: ${z.prettifyError(parsed.error)}`, {
    code: "EBADSTATE",
  });
}
