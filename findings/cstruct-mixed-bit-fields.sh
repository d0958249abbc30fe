#!/bin/sh
# Bit fields of two types lie elsewhere than a C compiler puts them, also with align=True: dissect.cstruct 4.7 (PyPI), against
# the system's C compiler on Linux.
#
# dissect.cstruct takes C's own declarations, and align=True asks for C's alignment.
# Guess: struct { uint16_t low:4; uint32_t high:4; } has the size that a C compiler gives it, and the same bits.
# Happens: the C ABI of Linux goes on in the word begun where the field fits (4 bytes, high in bits 7:4 of the first);
#   dissect.cstruct begins a new word with each new type (8 bytes, high in the fifth). Each reads its own bytes well, so a test
#   that packs and unpacks with one of them sees nothing.
# Seen (low = 1, high = 2):
#   C: 4 bytes, 21 00 00 00
#   dissect.cstruct: 8 bytes, 01 00 00 00 02 00 00 00
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet dissect.cstruct==4.7 >log 2>&1 || { cat log >&2; exit 2; }

cat >program.c <<'END'
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct mixed { uint16_t low : 4; uint32_t high : 4; };

int main(void) {
  struct mixed mixed;
  memset(&mixed, 0, sizeof mixed);
  mixed.low = 1;
  mixed.high = 2;
  const unsigned char *bytes = (const unsigned char *)&mixed;
  printf("C: %zu bytes,", sizeof mixed);
  for (size_t i = 0; i < sizeof mixed; i++) printf(" %02x", bytes[i]);
  printf("\n");
}
END
cat >program.py <<'END'
from dissect.cstruct import cstruct

c = cstruct(endian="<")
c.load("struct mixed { uint16_t low:4; uint32_t high:4; };", align=True)
data = c.mixed(low=1, high=2).dumps()
print(f"dissect.cstruct: {len(c.mixed)} bytes, {data.hex(' ')}")
END
cat >expected <<'END'
C: 4 bytes, 21 00 00 00
dissect.cstruct: 8 bytes, 01 00 00 00 02 00 00 00
END
cc -o program program.c
./program >seen
venv/bin/python program.py >>seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
