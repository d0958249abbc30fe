import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { LocalMemory } from "../../../src/device/backends/modelled/local-environment.ts";
import { DmaFile, type DmaMedium, type DmaOutcome } from "../../../src/device/dma/dma-file.ts";
import { AsyncFile, FileDescriptor } from "../../../src/ffi/index.ts";
import { MappedMemory } from "../../support/nvme-ways.ts";
import { Sandbox } from "../../support/sandbox.ts";

const [base, page, size] = [0x10_0000, 4096, 16 * 4096];

interface Made extends Disposable {
  readonly memory: LocalMemory;
  readonly bytes: Uint8Array;
  readonly file: DmaFile;
  readonly path: string;
}
function make(isMapped: boolean): Made {
  const all = new DisposableStack();
  const path = join(all.use(new Sandbox()).path, "file");
  writeFileSync(path, Buffer.alloc(size, 1));
  const mapped = isMapped ? all.use(new MappedMemory(size, base)) : undefined;
  const memory = mapped ?? new LocalMemory(size, base);
  const file = all.use(new DmaFile(memory, new AsyncFile(FileDescriptor.open(path))));
  return { memory, bytes: mapped?.mapped ?? memory.bytes, file, path, [Symbol.dispose]: () => all.dispose() };
}

for (const isMapped of [false, true])
  test(`moves parts of memory both ways, ${isMapped ? "without a copy" : "by way of its own"}; zeros; past the end it fails`, () => {
    using made = make(isMapped);
    const { file, bytes, path } = made;
    const outcomes: DmaOutcome[] = [];
    const onEnd = (outcome: DmaOutcome): void => void outcomes.push(outcome);
    bytes.fill(7, 0, 100);
    bytes.fill(8, page, page + 50);
    const pieces = [
      { iova: base + page, size: 50 },
      { iova: base, size: 100 },
    ];
    file.transfer("write", 1000, pieces, onEnd, true);
    file.medium.wait();
    const kept = readFileSync(path);
    expect([kept[999], kept[1000], kept[1049], kept[1050], kept[1149], kept[1150]]).toEqual([
      1, 8, 8, 7, 7, 1,
    ]);
    file.transfer("read", 1049, [{ iova: base + 2 * page, size: 2 }], onEnd);
    file.medium.wait();
    expect([...bytes.subarray(2 * page, 2 * page + 3)]).toEqual([8, 7, 0]);
    file.writeZeroes(1000, 3 * page, onEnd);
    file.medium.wait();
    expect(
      readFileSync(path)
        .subarray(1000, 1000 + 3 * page)
        .some(Boolean),
    ).toBe(false);
    file.transfer("read", size - 1, pieces, onEnd);
    file.medium.wait();
    expect(outcomes).toEqual(["done", "done", "done", "medium-failed"]);
    expect(() => file.transfer("read", 0, [{ iova: 0, size: 1 }], onEnd)).toThrow("no memory");
  });

test("memory that goes is waited for where it is used, and only there; what has gone by the end is told", () => {
  const ends: ((result: number) => void)[] = [];
  let waited = 0;
  const medium: DmaMedium = {
    ...{ size, isDirect: false, ended: 0, pending: 0, sync: () => {}, collect: () => {} },
    transfer: (_way, _at, pieces, onEnd) =>
      void ends.push(() => onEnd(pieces.reduce((sum, one) => sum + one.size, 0))),
    wait() {
      waited++;
      for (const end of ends.splice(0)) end(0);
    },
    [Symbol.dispose]: () => {},
  };
  using memory = new MappedMemory(size, base);
  using file = new DmaFile(memory, medium);
  const outcomes: DmaOutcome[] = [];
  file.transfer("read", 0, [{ iova: base + page, size: page }], (outcome) => outcomes.push(outcome));
  memory.unmap({ base, size: page });
  expect([waited, outcomes]).toEqual([0, []]);
  memory.unmap({ base: base + page + 100, size: 1 });
  expect([waited, outcomes]).toEqual([1, ["done"]]);
  memory.unmap({ base, size });
  expect(waited).toBe(1);

  const copied = new LocalMemory(size, base);
  using other = new DmaFile(copied, medium);
  other.transfer("read", 0, [{ iova: base, size: page }], (outcome) => outcomes.push(outcome));
  copied.write = () => {
    throw new Error("gone");
  };
  medium.wait();
  expect(outcomes).toEqual(["done", "memory-gone"]);
});
