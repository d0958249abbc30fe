// One thing that passing through needs, as `doctor` tells of it.

/** `note`: it is not there, or not needed, and that is no hindrance. */
export interface Check {
  /** Stable, for `--json`. */
  readonly name: string;
  readonly status: "ok" | "missing" | "note";
  readonly message: string;
  /** What to do about it. */
  readonly fix?: string | undefined;
  /** The name of another check that is missing: with that this one comes, too. */
  readonly follows?: string | undefined;
}

export const ok = (name: string, message: string): Check => ({ name, status: "ok", message });
export const note = (name: string, message: string, fix?: string): Check => ({
  name,
  status: "note",
  message,
  fix,
});
export const missing = (name: string, message: string, fix: string, follows?: string): Check => ({
  name,
  status: "missing",
  message,
  fix,
  follows,
});

/** What has to be done first: what is missing and follows from nothing else that is. */
export function rootCauses(checks: readonly Check[]): Check[] {
  const lacks = checks.filter(({ status }) => status === "missing");
  return lacks.filter(({ follows }) => lacks.every(({ name }) => name !== follows));
}

/** What is missing and its cause first, each with what follows from it; then the rest as it was. */
export function inOrder(checks: readonly Check[]): Check[] {
  const ordered: Check[] = [];
  const add = (check: Check): void => {
    if (ordered.includes(check)) return;
    ordered.push(check);
    for (const other of checks)
      if (other.status === "missing" && other.follows === check.name && other !== check) add(other);
  };
  for (const root of rootCauses(checks)) add(root);
  for (const check of checks) if (!ordered.includes(check)) ordered.push(check);
  return ordered;
}
