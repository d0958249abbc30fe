// Where the module of a thread is. A program has it in one of three ways: as a source beside the module that starts it; as the
// build made it, beside the package's chunks; or, where a bundler made one file of the program, as text in that file.
import { existsSync } from "node:fs";
import { VfioError } from "./errors.ts";

const urls = new Map<string, string>();

/**
 * What `new Worker` takes.
 * @param name of the module's file, without its ending @param from `import.meta.url` of the module that starts it
 * @throws VfioError, EWORKER, where the program has it in no way
 */
export function workerModule(name: string, from: string): string {
  const file = new URL(`./${name}${/\.ts$/.test(from) ? ".ts" : ".js"}`, from);
  if (existsSync(file)) return file.href;
  const url = urls.get(name) ?? URL.createObjectURL(new Blob([textOf(name)], { type: "text/javascript" }));
  urls.set(name, url);
  return url;
}

/** A bundler puts the texts into the program, where they are there; where not, it leaves a call that throws. */
function textOf(name: string): string {
  try {
    return (require("../../dist/worker-texts.json") as Record<string, string>)[name]!;
  } catch (cause) {
    throw new VfioError(`this program was bundled without the thread ${name}`, {
      code: "EWORKER",
      hint: "Bundle the package as npm has it, or run `npm run build` in its sources before.",
      cause,
    });
  }
}
