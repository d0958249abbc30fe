import { Sysroot } from "./sysroot.ts";

/**
 * A host as it is when it is first asked: the same question is not asked twice, and gets the same answer while one decision is
 * made. For a moment's use; nothing is ever forgotten.
 */
export class ReadOnce extends Sysroot {
  readonly #files: Sysroot;
  readonly #answers = new Map<string, unknown>();

  constructor(files: Sysroot) {
    super(files.root);
    this.#files = files;
  }

  override text(path: string, limit?: number): string | undefined {
    return this.#once(`text ${limit} ${path}`, () => this.#files.text(path, limit));
  }

  override list(path: string): string[] {
    return this.#once(`list ${path}`, () => this.#files.list(path));
  }

  override target(path: string): string | undefined {
    return this.#once(`target ${path}`, () => this.#files.target(path));
  }

  override exists(path: string): boolean {
    return this.#once(`exists ${path}`, () => this.#files.exists(path));
  }

  override mayUse(path: string): boolean {
    return this.#once(`may use ${path}`, () => this.#files.mayUse(path));
  }

  #once<Answer>(question: string, ask: () => Answer): Answer {
    if (!this.#answers.has(question)) this.#answers.set(question, ask());
    return this.#answers.get(question) as Answer;
  }
}
