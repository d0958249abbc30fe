import { expect, test } from "bun:test";
import { VfioError } from "../../src/ffi/errors.ts";
import type { GuestMemory } from "../../src/kvm/guest-memory.ts";
import type { BzImage } from "../../src/kvm/x86/bzimage.ts";
import { loadLinux, memoryType } from "../../src/kvm/x86/load-linux.ts";

const mib = 2 ** 20;
const kernel: BzImage = {
  setupHeader: Uint8Array.of(1, 2, 3),
  kernel: new Uint8Array(64).fill(7),
  ...{ address: 16 * mib, size: 8 * mib, initrdMax: 0x7fff_ffff, commandLineMax: 20 },
};

/** Loads into a guest with so much memory. @returns what was written where, and the parameters */
function loaded(size: number, initrd: Uint8Array | undefined, commandLine = "quiet") {
  const written = new Map<number, Uint8Array>();
  const write = (gpa: number, data: Uint8Array): void => {
    if (gpa + Math.max(data.length, 1) > size) throw new VfioError("no memory there", { code: "EFAULT" });
    written.set(gpa, data);
  };
  const entry = loadLinux({ write } as unknown as GuestMemory, {
    ...{ kernel, initrd, commandLine, bootParams: 0x7000, commandLineAt: 0x2_0000 },
    map: [{ base: 0, size, type: memoryType.ram }],
  });
  const parameters = written.get(0x7000)!;
  return { entry, written, words: new DataView(parameters.buffer, parameters.byteOffset, parameters.length) };
}

test("the kernel where it wants to be, the initramfs as high as it may, and the parameters say so", () => {
  const { entry, written, words } = loaded(64 * mib, new Uint8Array(5000).fill(9));
  expect(entry).toBe(16 * mib + 0x200);
  expect(written.get(16 * mib)).toEqual(kernel.kernel);
  const at = 64 * mib - 8192;
  expect(written.get(at)?.length).toBe(5000);
  expect([words.getUint32(0x218, true), words.getUint32(0x21c, true), words.getUint8(0x1e8)]).toEqual([
    at,
    5000,
    1,
  ]);
  expect(written.get(0x2_0000)).toEqual(new TextEncoder().encode("quiet\0"));
});

test.each([undefined, new Uint8Array(0)])(
  "without an initramfs, or a byte of one, there is none: %p",
  (initrd) => {
    const { written, words } = loaded(64 * mib, initrd);
    expect([words.getUint32(0x218, true), words.getUint32(0x21c, true), written.size]).toEqual([0, 0, 3]);
  },
);

test("what does not fit is refused before anything is written, with what would do", () => {
  expect(() => loaded(24 * mib, new Uint8Array(8192))).toThrow(
    expect.objectContaining({ code: "ENOMEM", hint: "Give the guest more memory: 128 MiB." }),
  );
  expect(() => loaded(64 * mib, undefined, "x".repeat(21))).toThrow(
    expect.objectContaining({ code: "E2BIG" }),
  );
});
