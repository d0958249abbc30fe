/** What a failed file operation says, without the path and the call that Node adds: `ENOENT: no such file or directory`. */
export const errorText = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/, \w+(?: '.*')?$/s, "");
