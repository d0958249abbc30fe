import { lazy } from "../regs/lazy.ts";

/** What checks an image file. With zod it takes longer to load than all else here, and not every program has one. */
export const imageFileSchema = lazy(
  () => (require("./schema.ts") as typeof import("./schema.ts")).imageFileSchema,
);
