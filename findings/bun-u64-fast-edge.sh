#!/bin/sh
# "u64_fast" gives a bigint for 2^53 - 1, which fits a number, where "i64_fast" gives a number: Bun 1.4.5 (bun:ffi).
#
# Both are documented to give a number "when it fits", a bigint otherwise.
# Guess: both change over between 2^53 - 1, the greatest safe integer, and 2^53.
# Happens: "u64_fast" changes over one earlier: 9007199254740991 is a number from one and a bigint from the other.
# Seen:
#   9007199254740990 u64_fast number i64_fast number
#   9007199254740991 u64_fast bigint i64_fast number
#   9007199254740992 u64_fast bigint i64_fast bigint
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . bun@1.4.5 >log 2>&1 || { cat log >&2; exit 2; }
bun=$(find node_modules/@oven -path '*/bin/bun' | sort | head -n 1)
chmod +x "$bun"

cat >program.mjs <<'END'
import { dlopen } from "bun:ffi";
// The absolute value: what goes in comes out.
const same = (argument, result) => dlopen("libc.so.6", { labs: { args: [argument], returns: result } }).symbols.labs;
const unsigned = same("u64", "u64_fast");
const signed = same("i64", "i64_fast");
for (const value of [2n ** 53n - 2n, 2n ** 53n - 1n, 2n ** 53n])
  console.log(`${value} u64_fast ${typeof unsigned(value)} i64_fast ${typeof signed(value)}`);
END
cat >expected <<'END'
9007199254740990 u64_fast number i64_fast number
9007199254740991 u64_fast bigint i64_fast number
9007199254740992 u64_fast bigint i64_fast bigint
END
"$bun" program.mjs >seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
