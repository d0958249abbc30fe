import type { ImageArea } from "./image.ts";

/** Where so many bytes of a table are 0: in order, apart from each other. */
export function areasOfZeros(table: Uint8Array, size: number): ImageArea[] {
  const areas: ImageArea[] = [];
  for (let at = 0; at < size; at++) {
    if (table[at] !== 0) continue;
    const offset = at;
    while (at < size && table[at] === 0) at++;
    areas.push({ offset, size: at - offset });
  }
  return areas;
}
