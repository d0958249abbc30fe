import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { AnonymousMemory, AsyncFile, FileDescriptor, waitReadable } from "../../src/ffi/index.ts";
import { Sandbox } from "../support/sandbox.ts";
import { openDescriptors } from "../support/descriptors.ts";

const page = 4096;

interface Made extends Disposable {
  readonly path: string;
  readonly file: AsyncFile;
  readonly memory: AnonymousMemory;
}

function make(pages: number, options: { depth?: number } = {}): Made {
  const all = new DisposableStack();
  const box = all.use(new Sandbox());
  const path = join(box.path, "file");
  writeFileSync(path, Buffer.alloc(pages * page, 1));
  const memory = all.use(new AnonymousMemory(8 * page));
  const file = all.use(new AsyncFile(FileDescriptor.open(path), { depth: 4, ...options }));
  return { path, file, memory, [Symbol.dispose]: () => all.dispose() };
}

/** Waits as an event loop does: until the eventfd says that something has ended. */
function collect(file: AsyncFile): void {
  expect(waitReadable(file.ended, 5000)).toBe(true);
  file.collect();
}

test("reads and writes pieces of memory, each in its own order, and tells how many bytes", () => {
  using made = make(4);
  const { file, memory, path } = made;
  const pieces = [3, 1].map((n) => ({ address: memory.address + n * page, size: page }));
  memory.view(3 * page, page).fill(7);
  memory.view(page, page).fill(8);
  const said: number[] = [];
  file.transfer("write", page, pieces, (result) => said.push(result));
  expect(file.pending).toBe(1);
  collect(file);
  expect([said, file.pending]).toEqual([[2 * page], 0]);
  const bytes = readFileSync(path);
  expect([bytes[0], bytes[page], bytes[2 * page], bytes[3 * page]]).toEqual([1, 7, 8, 1]);
  file.transfer("read", 0, [{ address: memory.address, size: 2 * page }], (result) => said.push(result));
  file.sync((result) => said.push(result));
  while (file.pending > 0) collect(file);
  expect(said.slice(1).toSorted()).toEqual([0, 2 * page]);
  expect([memory.view(0, 1)[0], memory.view(page, 1)[0]]).toEqual([1, 7]);
});

test("what ends early or is refused is told as a number: fewer bytes, or minus the errno", () => {
  using made = make(1);
  const { file, memory, path } = made;
  const said: number[] = [];
  const piece = { address: memory.address, size: 2 * page };
  file.transfer("read", 0, [piece], (result) => said.push(result));
  file.wait();
  file.transfer("read", 0, [{ address: 8, size: page }], (result) => said.push(result));
  file.wait();
  const fd = openSync(path, "r+");
  ftruncateSync(fd, 0);
  closeSync(fd);
  file.transfer("read", 0, [piece], (result) => said.push(result));
  file.wait();
  // EFAULT
  expect(said).toEqual([page, -14, 0]);
});

test("no more at once than it was made for, nor in more pieces; then nothing was begun", () => {
  using made = make(1, { depth: 2 });
  const { file, memory } = made;
  const piece = { address: memory.address, size: 512 };
  let ended = 0;
  const read = (pieces = [piece]): void => file.transfer("read", 0, pieces, () => ended++);
  read();
  read();
  expect(() => read()).toThrow(RangeError);
  file.wait();
  expect(ended).toBe(2);
  expect(() => read(Array.from({ length: 1025 }, () => piece))).toThrow(RangeError);
  expect(() => read([])).toThrow(RangeError);
  expect(() => file.transfer("read", -1, [piece], () => {})).toThrow(RangeError);
  read(Array.from({ length: 1024 }, () => piece));
  file.wait();
  expect([ended, file.pending]).toEqual([3, 0]);
});

test("`wait` hears of its own alone; what another file has ended is told by that file's `collect`", () => {
  using one = make(1);
  using other = make(1);
  const said: string[] = [];
  other.file.transfer("read", 0, [{ address: other.memory.address, size: page }], () => said.push("other"));
  one.file.transfer("read", 0, [{ address: one.memory.address, size: page }], () => said.push("one"));
  one.file.wait();
  expect(said).toEqual(["one"]);
  other.file.collect();
  expect(said).toEqual(["one", "other"]);
});

test("around the cache of pages where the file system allows it, for memory and places that are aligned", () => {
  using made = make(4);
  using direct = AsyncFile.open(made.path, { depth: 1 });
  const said: number[] = [];
  direct.transfer("read", 512, [{ address: made.memory.address, size: 512 }], (result) => said.push(result));
  direct.wait();
  expect(said).toEqual([512]);
  expect([...made.memory.view(511, 2), direct.size]).toEqual([1, 0, 4 * page]);
  expect(typeof direct.isDirect).toBe("boolean");
  expect(() => AsyncFile.open("/dev/null")).toThrow("no regular file");
});

test("`dispose` waits for what is under way, tells nobody, and leaves no descriptor", () => {
  using box = new Sandbox();
  const path = join(box.path, "file");
  writeFileSync(path, Buffer.alloc(page));
  using memory = new AnonymousMemory(page);
  const before = openDescriptors();
  const file = AsyncFile.open(path);
  let told = 0;
  file.transfer("read", 0, [{ address: memory.address, size: page }], () => told++);
  file[Symbol.dispose]();
  file[Symbol.dispose]();
  expect([told, openDescriptors()]).toEqual([0, before]);
  const piece = { address: memory.address, size: page };
  expect(() => file.transfer("read", 0, [piece], () => {})).toThrow("closed");
});
