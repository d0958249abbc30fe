// The recorded config spaces of one host, by BDF.
import { readdirSync, readFileSync } from "node:fs";

const folder = new URL("../data/config/", import.meta.url);

/** Config space images of 256 and 4096 bytes of every device of a recorded host. */
export const recordedConfigs: ReadonlyMap<string, Uint8Array> = new Map(
  readdirSync(folder)
    .filter((name) => name.endsWith(".bin"))
    .sort()
    .map((name) => [name.slice(0, -4), new Uint8Array(readFileSync(new URL(name, folder)))]),
);
