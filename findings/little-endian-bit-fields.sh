#!/bin/sh
# The little-endian switches of four libraries do not read a little-endian register; a fifth library does: typed-struct
# 2.7.3, binary-parser 2.3.0, struct-fu 1.2.1 (npm, run by Bun 1.4.5), bitstruct 8.24.0, dissect.cstruct 4.7 (PyPI).
#
# The register is MSI-X message control, as configuration space holds it: bytes 04 80. Bits 10:0 are the table's size less
# one (4), bit 14 masks the function (0), bit 15 enables (1). Fields are given from bit 0 upwards.
# Guess: "little endian" of each library gives 4, 0, 1, as a bit field in C does.
# Happens: "little" is the order of bytes in whole values only (binary-parser), or the order of bits within one field while
#   fields are still cut from the top of the first byte (struct-fu's ubitLE, bitstruct's "<"); typed-struct's Bits16 has no
#   little-endian form. Only dissect.cstruct cuts from bit 0 of a little-endian word. Three different wrong sizes, no error.
# Seen (size, mask, enable):
#   typed-struct 36 0 0
#   binary-parser 1152 0 0
#   struct-fu 288 0 0
#   bitstruct 288 0 0
#   dissect.cstruct 4 0 1
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix . bun@1.4.5 typed-struct@2.7.3 binary-parser@2.3.0 struct-fu@1.2.1 >log 2>&1 || { cat log >&2; exit 2; }
python3 -m venv venv
venv/bin/pip install --quiet bitstruct==8.24.0 dissect.cstruct==4.7 >log 2>&1 || { cat log >&2; exit 2; }
bun=$(find node_modules/@oven -path '*/bin/bun' | sort | head -n 1)
chmod +x "$bun"

cat >program.mjs <<'END'
import { Parser } from "binary-parser";
import fu from "struct-fu";
import { Struct } from "typed-struct";
const control = Buffer.from([0x04, 0x80]);
const print = (name, { size, mask, enable }) => console.log(name, size, mask, enable);
const Control = new Struct("Control").Bits16({ size: [0, 11], reserved: [11, 3], mask: [14, 1], enable: [15, 1] }).compile();
print("typed-struct", new Control(Buffer.from(control)));
const parser = new Parser().endianess("little").bit11("size").bit3("reserved").bit1("mask").bit1("enable");
print("binary-parser", parser.parse(control));
const fields = [["size", 11], ["reserved", 3], ["mask", 1], ["enable", 1]];
print("struct-fu", fu.struct(fields.map(([name, width]) => fu.ubitLE(name, width))).unpack(control));
END
cat >program.py <<'END'
import bitstruct
from dissect.cstruct import cstruct

control = bytes([0x04, 0x80])
size, _, mask, enable = bitstruct.unpack("<u11u3u1u1", control)
print("bitstruct", size, mask, enable)
c = cstruct(endian="<")
c.load("struct control { uint16 size:11; uint16 reserved:3; uint16 mask:1; uint16 enable:1; };")
read = c.control(control)
print("dissect.cstruct", read.size, read.mask, read.enable)
END
cat >expected <<'END'
typed-struct 36 0 0
binary-parser 1152 0 0
struct-fu 288 0 0
bitstruct 288 0 0
dissect.cstruct 4 0 1
END
"$bun" program.mjs >seen
venv/bin/python program.py >>seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
