// What a served page was made of: what has not changed since is not read again.
import type { DeviceData, FlightData } from "../view/page-data.ts";
import type { FileSource } from "./byte-source.ts";

/** What a page has of one file. */
export interface FileData {
  readonly devices: readonly DeviceData[];
  readonly flight: FlightData | undefined;
}

/** How a file becomes data. Closes it. */
export type ReadFile = (file: FileSource) => FileData;

/** Reads a file again if it is another one, or has changed. Standard input is there once. */
export function remembered(read: ReadFile): ReadFile {
  const known = new Map<string, { readonly version: string | undefined; readonly data: FileData }>();
  return (file) => {
    const { path } = file;
    const version = path === "-" ? "" : file.version();
    const before = known.get(path);
    if (before && version !== undefined && before.version === version) {
      file[Symbol.dispose]();
      return before.data;
    }
    const data = read(file);
    known.set(path, { version, data });
    return data;
  };
}
