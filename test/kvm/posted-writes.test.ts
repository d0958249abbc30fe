import { expect, test } from "bun:test";
import fc from "fast-check";
import { PostedWrites, ringWords } from "../../src/kvm/posted-writes.ts";

/** Both ends of a ring that lies behind another. */
function ends(): [writer: PostedWrites, reader: PostedWrites, words: Int32Array] {
  const buffer = new SharedArrayBuffer(4 * 3 * ringWords);
  const at = 4 * ringWords;
  return [new PostedWrites(buffer, at), new PostedWrites(buffer, at), new Int32Array(buffer)];
}

test("what is put in comes out in order, of every width and address, however the ring stands", () => {
  const write = fc.record({
    kind: fc.nat(255),
    address: fc.maxSafeNat(),
    data: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  });
  const step = fc.oneof(write, fc.constant(undefined));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), fc.nat(0xffff_ffff), (steps, start) => {
      const [writer, reader, words] = ends();
      // Where the counters are, as after so many.
      words[ringWords] = words[ringWords + 16] = start | 0;
      const wanted: { readonly kind: number; readonly address: number; readonly data: Uint8Array }[] = [];
      for (const one of steps)
        if (one) {
          const isIn = writer.put(one.kind, one.address, one.data);
          expect(isIn).toBe(wanted.length < 64);
          if (isIn) wanted.push(one);
        } else {
          expect(reader.waiting).toBe(wanted.length);
          if (wanted.length > 0) expect(reader.take()).toEqual(wanted.shift()!);
        }
      const others = [...words.subarray(0, ringWords), ...words.subarray(2 * ringWords)];
      expect(others.every((word) => word === 0)).toBe(true);
    }),
  );
});
