// JSON of which one list may be long: each element is printed when it is there, as JSON.stringify would print the whole.
import { jsonText } from "../image/json-text.ts";
import { print } from "./output.ts";

const step = "  ";

/** An object whose one list is printed element by element. */
export class JsonList {
  readonly #head: object;
  readonly #key: string;
  readonly #pad: string;
  #count = 0;

  /**
   * @param head what stands before the list: at least one key
   * @param depth of the object, in levels
   */
  constructor(head: object, key: string, depth = 0) {
    this.#head = head;
    this.#key = key;
    this.#pad = step.repeat(depth);
  }

  /** Prints what stands before the next element; the element is the caller's, two levels deeper than the object. */
  next(): void {
    if (this.#count++ > 0) print(`,\n${this.#pad}${step}${step}`);
    else print(`${this.#opening()}[\n${this.#pad}${step}${step}`);
  }

  add(element: unknown): void {
    this.next();
    print(this.#text(element, `${this.#pad}${step}${step}`));
  }

  /** @param tail keys behind the list */
  end(tail: object = {}): void {
    print(this.#count === 0 ? `${this.#opening()}[]` : `\n${this.#pad}${step}]`);
    for (const [key, value] of Object.entries(tail))
      print(`,\n${this.#pad}${step}${jsonText(key)}: ${this.#text(value, this.#pad + step)}`);
    print(`\n${this.#pad}}${this.#pad === "" ? "\n" : ""}`);
  }

  #opening(): string {
    return `${this.#text(this.#head, this.#pad).slice(0, -(2 + this.#pad.length))},\n${this.#pad}${step}${jsonText(this.#key)}: `;
  }

  #text(value: unknown, pad: string): string {
    return jsonText(value, undefined, step.length).replaceAll("\n", `\n${pad}`);
  }
}
