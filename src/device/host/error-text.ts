import { messageOf } from "../../regs/message-of.ts";
/** What a failed file operation says, without the path and the call that Node adds: `ENOENT: no such file or directory`. */
export const errorText = (error: unknown): string => messageOf(error).replace(/, \w+(?: '.*')?$/s, "");
