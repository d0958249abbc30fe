// Base address registers by what they decode. The header's maps leave them raw: which of these one is, its own low bits say.
import { hex, ro, rw } from "../field.ts";
import { ownMap } from "../map.ts";
import { r32 } from "../register.ts";

/** Base address register of I/O ports, PCI Express Base Specification 7.5.1.2.1. */
export const ioBar = ownMap("I/O BAR", 4, () => ({
  low: r32(0x00, { ioSpace: ro(0), address: hex(rw(31, 2)) }),
}));

/** Base address register of memory, 7.5.1.2.1; the upper half is the next register, of one with 64 bits alone. */
export const memoryBar = ownMap("memory BAR", 8, () => ({
  low: r32(0x00, {
    ioSpace: ro(0),
    type: ro(2, 1, { "32-bit": 0, "below 1 MiB": 1, "64-bit": 2 }),
    prefetchable: ro(3),
    address: hex(rw(31, 4)),
  }),
  high: hex(r32(0x04, "rw")),
}));
