import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../support/tree.ts";
import { matrixPage } from "../suite/support/matrix.ts";

test("docs/matrix.md is what the matrix's tests expect", () => {
  expect(readFileSync(join(root, "docs/matrix.md"), "utf8")).toBe(matrixPage());
});
