#!/bin/sh
# A write at a bigint position lands elsewhere, a read at the same position does not: Bun 1.4.5, Node 26.12.1 (node:fs).
#
# Offsets of VFIO regions are 64 bits wide (index << 40), so that a bigint is at hand, and fs.readSync takes one.
# Guess: fs.writeSync takes it too, or throws a TypeError.
# Happens: it writes where the file's own position stands, here over the first bytes, and says that all went well. Node
#   documents that a position that is no number means "the current position"; its types refuse a bigint here, at run time
#   nothing does. fs.readSync reads at a bigint position, by its types and in fact.
# Seen, the same in both:
#   read at 4096n: 4 bytes, 01 02 03 04
#   write at 4096n: 2 bytes
#   now at 4096: 01 02 03 04
#   now at 0: 09 09 00 00
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
case $(uname -m) in aarch64) cpu=arm64 ;; *) cpu=x64 ;; esac
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . bun@1.4.5 "node-linux-$cpu@26.12.1" >log 2>&1 || { cat log >&2; exit 2; }
bun=$(find node_modules/@oven -path '*/bin/bun' | sort | head -n 1)
node=node_modules/node-linux-$cpu/bin/node
chmod +x "$bun" "$node"

cat >program.mjs <<'END'
import fs from "node:fs";
const file = fs.openSync("file", "w+");
const four = Buffer.alloc(4);
const at = (position) => (fs.readSync(file, four, 0, 4, position), four.toString("hex").replace(/..\B/g, "$& "));
fs.ftruncateSync(file, 8192);
fs.writeSync(file, Buffer.from([1, 2, 3, 4]), 0, 4, 4096);
console.log(`read at 4096n: ${fs.readSync(file, four, 0, 4, 4096n)} bytes, ${at(4096n)}`);
console.log(`write at 4096n: ${fs.writeSync(file, Buffer.from([9, 9]), 0, 2, 4096n)} bytes`);
console.log(`now at 4096: ${at(4096)}`);
console.log(`now at 0: ${at(0)}`);
END
cat >expected <<'END'
read at 4096n: 4 bytes, 01 02 03 04
write at 4096n: 2 bytes
now at 4096: 01 02 03 04
now at 0: 09 09 00 00
END
for runtime in "$bun" "$node"; do
  "$runtime" program.mjs >seen
  echo "${runtime##*/} $("$runtime" --version)"
  cat seen
  diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
done
