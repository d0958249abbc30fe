// Asks a C compiler, over the kernel's own headers, for the facts that facts.ts has of this library.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Facts } from "./facts.ts";

/** A folder of kernel headers. */
export interface Headers {
  readonly include: string;
  /** Of the kernel, as major * 1000 + minor: 6012 for 6.12. */
  readonly version: number;
}

/** The C type of a struct: `kvm_run.io`, a member without a tag, has the type of that member. */
function cType(name: string): string {
  const [tag, ...path] = name.split(".");
  return path.length === 0 ? `struct ${tag}` : `__typeof__(((struct ${tag} *)0)->${path.join(".")})`;
}

/** The C expression for a fact. */
function expression(fact: string): string {
  const [kind, path = "", tag = ""] = fact.split(" ");
  if (kind === "struct-size") return `sizeof(${cType(path)})`;
  // A negative int is the 32 bits of the field that it is for.
  if (kind === "constant")
    return `(sizeof(${path}) == 4 ? (unsigned)(${path}) : (unsigned long long)(${path}))`;
  const dot = path.lastIndexOf(".");
  const type = cType(path.slice(0, dot));
  const name = path.slice(dot + 1);
  const member = `((${type} *)0)->${name}`;
  if (kind === "offset") return `__builtin_offsetof(${type}, ${name})`;
  if (kind === "size") return `sizeof(${member})`;
  if (kind === "element-size") return `sizeof(${member}[0])`;
  if (kind === "signed") return `((__typeof__(${member}))-1 < 0)`;
  if (kind === "type") return `__builtin_types_compatible_p(__typeof__(${member}), struct ${tag})`;
  if (kind === "element-type")
    return `__builtin_types_compatible_p(__typeof__(&${member}[0]), struct ${tag} *)`;
  throw new Error(`no C for the fact ${fact}`);
}

/** The program: it prints a number a line, in the order of `facts`. */
function program(facts: Iterable<string>, headers: Headers): string {
  const files = ["vfio", "iommufd", "kvm"].filter((name) =>
    existsSync(join(headers.include, `linux/${name}.h`)),
  );
  const lines = [...facts].map((fact) => `  printf("%llu\\n", (unsigned long long)${expression(fact)});`);
  return [
    "#include <stdio.h>",
    ...files.map((name) => `#include <linux/${name}.h>`),
    "int main(void) {",
    ...lines,
    "  return 0;",
    "}",
    "",
  ].join("\n");
}

/**
 * What the C compiler says of each fact's name.
 * @throws Error with the compiler's words when it does not compile: something is not in these headers
 */
export function compiledFacts(names: readonly string[], headers: Headers, compiler: string): Facts {
  const folder = mkdtempSync(join(tmpdir(), "bun-vfio-abi-"));
  try {
    const source = join(folder, "abi.c");
    const binary = join(folder, "abi");
    writeFileSync(source, program(names, headers));
    const compile = Bun.spawnSync([compiler, "-w", "-I", headers.include, "-o", binary, source]);
    if (compile.exitCode !== 0) throw new Error(`the C compiler failed:\n${compile.stderr.toString()}`);
    const run = Bun.spawnSync([binary]);
    const values = run.stdout.toString().trimEnd().split("\n");
    if (run.exitCode !== 0 || values.length !== names.length) throw new Error("the C program failed");
    return new Map(names.map((name, index) => [name, BigInt(values[index]!)]));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One line for each fact that differs. */
export function differences(ours: Facts, theirs: Facts): string[] {
  return [...ours]
    .filter(([name, value]) => theirs.get(name) !== value)
    .map(([name, value]) => `${name}: here ${value}, in C ${theirs.get(name)}`);
}

/** The kernel headers in a folder; undefined where there are none. */
export function headersIn(include: string): Headers | undefined {
  if (!existsSync(join(include, "linux/vfio.h")) || !existsSync(join(include, "linux/version.h")))
    return undefined;
  const code = /LINUX_VERSION_CODE (\d+)/.exec(readFileSync(join(include, "linux/version.h"), "utf8"))?.[1];
  if (code === undefined) return undefined;
  return {
    include,
    version: Math.floor(Number(code) / 65_536) * 1000 + (Math.floor(Number(code) / 256) % 256),
  };
}

/**
 * The headers to check against: those that BUN_VFIO_UAPI_HEADERS names, else those that scripts/uapi-headers.sh fetched,
 * else the system's; undefined when none is of `oldest` or later.
 */
export function findHeaders(oldest: number): Headers | undefined {
  const named = process.env["BUN_VFIO_UAPI_HEADERS"];
  if (named !== undefined) return headersIn(named);
  const script = join(import.meta.dir, "../../../scripts/uapi-headers.sh");
  const fetched = Bun.spawnSync(["sh", script, "--cached"]).stdout.toString().trim();
  return [fetched, "/usr/include"]
    .filter((include) => include !== "")
    .map(headersIn)
    .find((headers) => headers !== undefined && headers.version >= oldest);
}
