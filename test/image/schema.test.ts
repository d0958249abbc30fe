// Files of which one part is wrong in a way that leaves the whole in another shape: one test for each that random input found.
import { expect, test } from "bun:test";
import { ImageError, readImage } from "../../src/image/index.ts";

const file = (more: object): string =>
  JSON.stringify({
    format: "bun-vfio image",
    version: 1,
    bdf: "0000:01:00.0",
    host: {},
    resettable: true,
    irqs: [],
    regions: [],
    config: { size: 64, lines: [] },
    ...more,
  });
const problems = (text: string): readonly string[] => {
  try {
    readImage(text);
  } catch (error) {
    if (error instanceof ImageError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  throw new Error("the image was read");
};
const region = (more: object): object => ({ index: 0, name: "BAR0", size: "0x1000", flags: [], ...more });

test("an offset of contents that is no number is told of alone", () => {
  const numbers = ["MSIX", "0xffffffffffffff"];
  for (const offset of numbers) {
    const [problem, ...more] = problems(file({ regions: [region({ contents: [{ offset, hex: ["01"] }] })] }));
    expect(problem).toStartWith("regions[0].contents[0].offset: expected a number");
    expect(more).toEqual([]);
  }
});

test("a list with too many entries is told of alone, whatever its entries are", () => {
  const nothing = (count: number): null[] => new Array<null>(count).fill(null);
  expect(problems(file({ irqs: nothing(257) }))).toEqual(["irqs: at most 256 entries"]);
  expect(problems(file({ regions: nothing(257) }))).toEqual(["regions: at most 256 entries"]);
  expect(problems(file({ regions: [region({ contents: nothing(65537) })] }))).toEqual([
    "regions[0].contents: at most 65536 entries",
  ]);
  expect(problems(file({ regions: [region({ sparse: nothing(1025) })] }))).toEqual([
    "regions[0].sparse: at most 1024 entries",
  ]);
  expect(problems(file({ config: { size: 64, lines: nothing(257) } }))).toEqual([
    "config.lines: at most 256 lines",
  ]);
});

test("control characters of the file reach no message: each problem stays one line of plain text", () => {
  for (const character of ["\x1b", "\n", "\0", "\x7f", "\x9b"]) {
    const key = `k${character}y`;
    for (const text of [
      file({ host: { [key]: 1 } }),
      file({ bdf: key }),
      file({ config: { size: 64, lines: [key] } }),
    ])
      try {
        readImage(text);
        expect.unreachable();
      } catch (error) {
        expect(error).toBeInstanceOf(ImageError);
        expect((error as Error).message).not.toMatch(/[\0-\x1f\x7f-\x9f]/);
      }
  }
});

test("-0 is 0", () => {
  const text = file({ regions: [region({})] }).replace('"index":0', '"index":-0');
  expect(text).toContain("-0");
  expect(Object.is(readImage(text).regions[0]!.index, 0)).toBe(true);
});
