// docs/troubleshooting.md as data.

/** A heading of the third level, and the first block of text below it. */
export interface Trouble {
  readonly title: string;
  readonly message: string;
}

/** What the page tells of, in its order. */
export const troubles = (page: string): Trouble[] =>
  page
    .split(/^### /m)
    .slice(1)
    .map((section) => ({
      title: section.slice(0, section.indexOf("\n")).trim(),
      message: /^```text\n([\s\S]*?)\n```$/m.exec(section)?.[1] ?? "",
    }));
