#!/bin/sh
# Encoding one member of a struct clears all the others, without a word: koffi 3.3.4, run by Bun 1.4.5.
#
# An ioctl's request is often changed in place: of a struct that the kernel has filled one member is set, and asked again.
# Guess: koffi.encode(memory, type, { index: 2 }) throws because members are missing, or leaves them as they are.
# Happens: every member that is not named becomes 0. One member alone is encoded by its offset and its own type.
# Seen (memory of ff before each):
#   struct, { index: 2 }: 0000000000000000020000000000000000000000000000000000000000000000
#   uint32 at offset 8: ffffffffffffffff02000000ffffffffffffffffffffffffffffffffffffffff
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . bun@1.4.5 koffi@3.3.4 >log 2>&1 || { cat log >&2; exit 2; }
bun=$(find node_modules/@oven -path '*/bin/bun' | sort | head -n 1)
chmod +x "$bun"

cat >program.mjs <<'END'
import koffi from "koffi";
const info = koffi.struct("vfio_region_info", {
  argsz: "uint32", flags: "uint32", index: "uint32", cap_offset: "uint32", size: "uint64", offset: "uint64",
});
const whole = Buffer.alloc(32, 0xff);
koffi.encode(whole, info, { index: 2 });
console.log(`struct, { index: 2 }: ${whole.toString("hex")}`);
const part = Buffer.alloc(32, 0xff);
koffi.encode(part, 8, "uint32", 2);
console.log(`uint32 at offset 8: ${part.toString("hex")}`);
END
cat >expected <<'END'
struct, { index: 2 }: 0000000000000000020000000000000000000000000000000000000000000000
uint32 at offset 8: ffffffffffffffff02000000ffffffffffffffffffffffffffffffffffffffff
END
"$bun" program.mjs >seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
