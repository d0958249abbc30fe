// What an editor shows of a register and of a field: the comment at their description, through `view` and through `live`.
import { expect, test } from "bun:test";
import { join } from "node:path";
import ts from "typescript";

const root = join(import.meta.dir, "../..");
const file = join(root, "test/regs/made-up.ts");
const text = `
import { array, r32, registerMap, ro, rw, type RegisterIo } from "../../src/regs/index.ts";
/** One of a table. */
const entry = (at: number) => ({
  /** Where it is. */
  place: r32(at, {
    /** In pages. */
    page: rw(31, 12),
  }),
});
const more = {
  /** Two of them. */
  table: array(2, 4, entry(8)),
  /** One register each. */
  list: array(2, 4, r32(16, {
    /** Counts up. */
    count: rw(7, 0),
  })),
} as const;
const map = registerMap("map", 24, {
  ...more,
  /** Starts the machine. */
  control: r32(0, {
    /** In units of 1 us. */
    delay: rw(7, 0),
    /** Set while it runs. */
    running: ro(8),
  }),
  /** Counts starts. */
  count: r32(4, "rw"),
});
declare const io: RegisterIo;
const view = map.view(new DataView(new ArrayBuffer(24)));
const live = map.live(io);
view.control; view.count; view.fields.control.delay; view.fields.control.running;
live.control; live.control.read().running; live.control.modify({ delay: 1 }); live.control.write({ delay: 2 });
map.registers.control.fields.delay;
view.table; view.table.at(1).place; live.table; live.table.at(1).place.modify({ page: 1 });
view.list.at(1).count; live.list.at(0).read().count;
`;

const service = ts.createLanguageService({
  getScriptFileNames: () => [file],
  getScriptVersion: () => "1",
  getScriptSnapshot(name) {
    const source = name === file ? text : ts.sys.readFile(name);
    return source === undefined ? undefined : ts.ScriptSnapshot.fromString(source);
  },
  getCurrentDirectory: () => root,
  getCompilationSettings: () => ({
    strict: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.Preserve,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    allowImportingTsExtensions: true,
    noEmit: true,
    types: [],
  }),
  getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
  fileExists: ts.sys.fileExists,
  readFile: ts.sys.readFile,
});

/** The comment shown over the last word of `code`. */
function shown(code: string): string {
  const at = text.indexOf(code) + code.length - 1;
  return ts.displayPartsToString(service.getQuickInfoAtPosition(file, at)?.documentation);
}

test("the comments are those of the description", () => {
  expect(
    [
      "view.control",
      "view.count",
      "view.fields.control.delay",
      "view.fields.control.running",
      "live.control",
      "read().running",
      "modify({ delay",
      "write({ delay",
      "registers.control.fields.delay",
      "view.table",
      "view.table.at(1).place",
      "live.table",
      "modify({ page",
      "view.list.at(1).count",
      "live.list.at(0).read().count",
    ].map(shown),
  ).toEqual([
    "Starts the machine.",
    "Counts starts.",
    "In units of 1 us.",
    "Set while it runs.",
    "Starts the machine.",
    "Set while it runs.",
    "In units of 1 us.",
    "In units of 1 us.",
    "In units of 1 us.",
    "Two of them.",
    "Where it is.",
    "Two of them.",
    "In pages.",
    "Counts up.",
    "Counts up.",
  ]);
}, 60_000);
