import { spawnSync } from "bun";
import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DurableFile, writeDurably } from "../../src/ffi/durable-file.ts";
import { openDescriptors } from "../support/descriptors.ts";
import { testNeeding } from "../support/needing.ts";
import { noSmallFileSystem, SmallFileSystem } from "../support/small-file-system.ts";

/** A folder that goes away with the block that holds it. */
function temporary() {
  const path = fs.mkdtempSync(join(tmpdir(), "durable-"));
  return {
    at: (name: string) => join(path, name),
    list: () => fs.readdirSync(path).sort(),
    [Symbol.dispose]: () => fs.rmSync(path, { recursive: true, force: true }),
  };
}
const text = (path: string): string => fs.readFileSync(path, "utf8");
const mode = (path: string): number => fs.statSync(path).mode & 0o777;
const coded = (code: string) => expect.objectContaining({ name: "VfioError", code });

test("it is there under its name when all of it is written, and not before", () => {
  using folder = temporary();
  const path = folder.at("file");
  fs.writeFileSync(path, "old");
  {
    using file = new DurableFile(path);
    file.write(Buffer.from("ne"));
    file.write(Buffer.from("w"));
    file.sync();
    expect(text(path)).toBe("old");
    file.commit();
    file.commit();
  }
  expect(text(path)).toBe("new");
  expect(folder.list()).toEqual(["file"]);
});

test("without commit, what was written is gone and the older file as it was; no descriptor stays", () => {
  using folder = temporary();
  writeDurably(folder.at("file"), "old");
  const before = openDescriptors();
  for (const synced of [false, true]) {
    using file = new DurableFile(folder.at("file"));
    file.write(Buffer.from("new"));
    if (synced) file.sync();
  }
  expect([folder.list(), text(folder.at("file"))]).toEqual([["file"], "old"]);
  expect(openDescriptors()).toEqual(before);
});

test("places may be left out: they are holes, which read 0 and take no room", () => {
  using folder = temporary();
  const path = folder.at("file");
  {
    using file = new DurableFile(path);
    file.write(Uint8Array.of(7), 2 ** 24);
    file.write(Uint8Array.of(8));
    file.write(Uint8Array.of(9), 3);
    file.extend(2 ** 25);
    file.extend(1);
    file.commit();
    expect(() => file.write(Uint8Array.of(1))).toThrow(coded("ECLOSED"));
  }
  const bytes = fs.readFileSync(path);
  expect([bytes.length, bytes[3], bytes[2 ** 24], bytes[2 ** 24 + 1], bytes[0]]).toEqual([
    2 ** 25,
    9,
    7,
    8,
    0,
  ]);
  expect(fs.statSync(path).blocks * 512).toBeLessThan(2 ** 20);
});

test("a secret is its owner's alone, whatever had the name; others are as what had it, or as the umask says", () => {
  using folder = temporary();
  const at = folder.at("file");
  writeDurably(at, "");
  expect(mode(at)).toBe(0o666 & ~process.umask());
  fs.chmodSync(at, 0o640);
  writeDurably(at, "");
  expect(mode(at)).toBe(0o640);
  writeDurably(at, "", { secret: true });
  expect(mode(at)).toBe(0o600);
  writeDurably(folder.at("new"), "", { secret: true });
  expect(mode(folder.at("new"))).toBe(0o600);
});

test("a symbolic link is kept: what it points to is replaced", () => {
  using folder = temporary();
  fs.mkdirSync(folder.at("other"));
  fs.writeFileSync(folder.at("other/real"), "old");
  fs.symlinkSync("other/real", folder.at("link"));
  writeDurably(folder.at("link"), "new");
  expect(text(folder.at("other/real"))).toBe("new");
  expect(folder.list()).toEqual(["link", "other"]);
});

test("a name that is taken stays who has it, also where it was taken in the meantime", () => {
  using folder = temporary();
  fs.writeFileSync(folder.at("taken"), "old");
  expect(() => new DurableFile(folder.at("taken"), { replace: false })).toThrow(coded("EEXIST"));
  {
    using file = new DurableFile(folder.at("later"), { replace: false });
    file.write(Buffer.from("new"));
    fs.writeFileSync(folder.at("later"), "somebody else's");
    expect(() => file.commit()).toThrow(coded("EEXIST"));
  }
  writeDurably(folder.at("free"), "new", { replace: false });
  expect(folder.list()).toEqual(["free", "later", "taken"]);
  expect(["free", "later", "taken"].map((name) => text(folder.at(name)))).toEqual([
    "new",
    "somebody else's",
    "old",
  ]);
});

test("no regular file is replaced, and no folder is made", () => {
  using folder = temporary();
  expect(() => writeDurably(folder.at("."), "")).toThrow(coded("EISDIR"));
  expect(() => writeDurably("/dev/null", "")).toThrow(coded("ENOTREG"));
  expect(fs.statSync("/dev/null").isCharacterDevice()).toBe(true);
  expect(() => writeDurably(folder.at("no/file"), "")).toThrow(coded("ENOENT"));
  expect(folder.list()).toEqual([]);
});

test("the longest name that a file can have is no obstacle", () => {
  using folder = temporary();
  for (const name of ["n".repeat(255), "\u{1f4be}".repeat(63)]) {
    writeDurably(folder.at(name), "whole");
    expect(text(folder.at(name))).toBe("whole");
  }
});

test("what a killed process leaves is in nobody's way, and the older file is whole", () => {
  using folder = temporary();
  const path = folder.at("file");
  writeDurably(path, "old");
  const source = join(import.meta.dir, "../../src/ffi/durable-file.ts");
  const program = `
    const { DurableFile } = await import(${JSON.stringify(source)});
    const file = new DurableFile(${JSON.stringify(path)});
    file.write(Buffer.from("half"));
    process.kill(process.pid, "SIGKILL");
  `;
  const { signalCode } = spawnSync([process.execPath, "-e", program]);
  expect([signalCode, text(path), folder.list().length]).toEqual(["SIGKILL", "old", 2]);
  writeDurably(path, "new");
  expect(text(path)).toBe("new");
});

const missing = noSmallFileSystem();
const size = 2 ** 20;
const many = (fill: number): Uint8Array => new Uint8Array((size * 3) / 4).fill(fill);

testNeeding(
  missing,
  "a file system that becomes full: it is said, the older file is whole, and the room is given back",
  () => {
    using small = new SmallFileSystem(size);
    writeDurably(small.at("file"), many(1));
    expect(() => writeDurably(small.at("file"), many(2))).toThrow(coded("ENOSPC"));
    expect(() => writeDurably(small.at("other"), many(2))).toThrow(
      expect.objectContaining({ syscall: "write", errno: 28, hint: expect.stringContaining("Make room") }),
    );
    expect(fs.readdirSync(small.path)).toEqual(["file"]);
    expect(fs.readFileSync(small.at("file"))).toEqual(Buffer.from(many(1)));
    writeDurably(small.at("other"), new Uint8Array(size / 8));
    fs.rmSync(small.at("file"));
    writeDurably(small.at("other"), many(3));
    expect(fs.readFileSync(small.at("other"))).toEqual(Buffer.from(many(3)));
  },
  10_000,
);

testNeeding(
  missing,
  "a write of which the file system takes a part is gone on with, and ends in an error",
  () => {
    using small = new SmallFileSystem(size);
    using file = new DurableFile(small.at("file"));
    expect(() => file.write(new Uint8Array(4 * size).fill(1))).toThrow(coded("ENOSPC"));
    expect(() => file.write(new Uint8Array(4 * size).fill(1), 8 * size)).toThrow(coded("ENOSPC"));
  },
  10_000,
);

testNeeding(
  missing,
  "a file system that becomes read-only before the name is given: the older file is whole",
  () => {
    using small = new SmallFileSystem(size);
    writeDurably(small.at("file"), "old");
    {
      using file = new DurableFile(small.at("file"));
      file.write(Buffer.from("new"));
      file.sync();
      expect(spawnSync(["mount", "-o", "remount,ro", small.path]).success).toBe(true);
      expect(() => file.commit()).toThrow(coded("EROFS"));
    }
    expect(() => writeDurably(small.at("file"), "new")).toThrow(coded("EROFS"));
    expect(text(small.at("file"))).toBe("old");
  },
  10_000,
);
