#!/bin/sh
# Looking at memory through a struct writes to it: typed-struct 2.7.3, run by Bun 1.4.5.
#
# A field may have a literal, such as a header's magic number.
# Guess: a literal is checked when a struct is laid over bytes that are there, and written only where the struct makes its own.
# Happens: the constructor stores the literal in the bytes it is given. Over a mapped device that is a store to a register,
#   and bytes that are no such header look like one from then on.
# Seen:
#   before: 00 00 01 02
#   vendor: 8086
#   after: 86 80 01 02
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . bun@1.4.5 typed-struct@2.7.3 >log 2>&1 || { cat log >&2; exit 2; }
bun=$(find node_modules/@oven -path '*/bin/bun' | sort | head -n 1)
chmod +x "$bun"

cat >program.mjs <<'END'
import { Struct } from "typed-struct";
const Header = new Struct("Header").UInt16LE("vendor", 0x8086).UInt16LE("device").compile();
const memory = Buffer.from([0, 0, 1, 2]);
const print = (name) => console.log(`${name}: ${memory.toString("hex").replace(/..\B/g, "$& ")}`);
print("before");
console.log(`vendor: ${new Header(memory).vendor.toString(16)}`);
print("after");
END
cat >expected <<'END'
before: 00 00 01 02
vendor: 8086
after: 86 80 01 02
END
"$bun" program.mjs >seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
