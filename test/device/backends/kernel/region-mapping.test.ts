import { expect, test } from "bun:test";
import { existsSync, openSync } from "node:fs";
import { KernelMapping } from "../../../../src/device/backends/kernel/region-mapping.ts";
import { VfioError } from "../../../../src/ffi/errors.ts";
import { MemoryFile } from "../../../../src/ffi/memory-file.ts";
import { refusal } from "../../../support/refusal.ts";

/** Memory in a device's place. */
function mapped(file: MemoryFile, exportDmaBuf: () => number | undefined) {
  const gone: KernelMapping[] = [];
  const mapping = new KernelMapping({
    mapping: { fd: file.fd, size: file.size, name: "BAR0" },
    exportDmaBuf,
    onDispose: (one) => void gone.push(one),
  });
  return { mapping, gone };
}

test("a dma-buf is made when first asked for, once, and closed with the mapping", () => {
  using file = new MemoryFile({ size: 4096, name: "device" });
  let made = 0;
  const { mapping, gone } = mapped(file, () => {
    made++;
    return openSync("/dev/null", "r");
  });
  expect(made).toBe(0);
  const fd = mapping.dmaBuf!;
  expect([mapping.dmaBuf, made, existsSync(`/proc/self/fd/${fd}`)]).toEqual([fd, 1, true]);
  mapping[Symbol.dispose]();
  mapping[Symbol.dispose]();
  expect([gone, existsSync(`/proc/self/fd/${fd}`)]).toEqual([[mapping], false]);
  expect(refusal(() => mapping.dmaBuf).code).toBe("ECLOSED");
});

test("a kernel that has none is asked once; one that refuses is asked again", () => {
  using file = new MemoryFile({ size: 4096, name: "device" });
  const answers: (undefined | VfioError)[] = [new VfioError("no", { code: "EINVAL" }), undefined];
  const { mapping } = mapped(file, () => {
    const answer = answers.shift();
    if (answer) throw answer;
    return answer;
  });
  using _ = mapping;
  expect(refusal(() => mapping.dmaBuf).code).toBe("EINVAL");
  expect([mapping.dmaBuf, mapping.dmaBuf, answers]).toEqual([undefined, undefined, []]);
});
