// Every struct, request and constant against the kernel's headers, as a C compiler has them.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Struct, allConstants, allStructs, type AnyStruct } from "../../../src/regs/ioctl/index.ts";
import { testNeeding } from "../../support/needing.ts";
import { compiledFacts, differences, findHeaders } from "./c-program.ts";
import {
  kernelOf,
  newConstantValue,
  newStructLayout,
  oldestHeaders,
  padding,
  sizes,
} from "./expectations.ts";
import { constantFacts, holes, layoutText, structFacts, type Facts } from "./facts.ts";

const compiler = Bun.which("cc") ?? Bun.which("gcc");
const headers = findHeaders(oldestHeaders);
const missing =
  process.arch !== "x64"
    ? "the vCPU structs are those of x86-64: the C check cannot run on another architecture"
    : !compiler
      ? "no C compiler (cc or gcc) is installed: the C check cannot run"
      : !headers
        ? "no kernel headers of Linux 6.12 or later: run scripts/uapi-headers.sh first, or install linux-libc-dev"
        : undefined;

/** A test that needs the compiler and the headers. */
const compilerTest = (name: string, body: () => void): void => testNeeding(missing, name, body, 60_000);

const version = headers?.version ?? oldestHeaders;
const release = `${Math.floor(version / 1000)}.${version % 1000}`;
const inHeaders = ({ name }: { readonly name: string }): boolean => kernelOf(name) <= version;
const newer = (item: { readonly name: string }): boolean => !inHeaders(item);

const factsOf = (structs: readonly AnyStruct[]): Facts =>
  new Map(structs.flatMap((type) => [...structFacts(type)]));
/** What of `facts` the C compiler has otherwise. */
const compare = (facts: Facts): string[] =>
  differences(facts, compiledFacts([...facts.keys()], headers!, compiler!));

describe(`the C compiler, over the headers of Linux ${release}`, () => {
  compilerTest("has every struct's size, and every member's offset, width, sign and type", () => {
    const structs = allStructs.filter(inHeaders);
    expect(structs.length).toBeGreaterThan(120);
    expect(compare(factsOf(structs))).toEqual([]);
  });

  compilerTest("has every request and every constant", () => {
    const constants = allConstants.filter(inHeaders);
    expect(constants.length).toBeGreaterThan(400);
    expect(compare(constantFacts(constants))).toEqual([]);
  });

  compilerTest("finds a struct that is declared wrong, and a wrong constant", () => {
    const wrong = new Struct("vfio_irq_info")
      .UInt32LE("argsz")
      .UInt16LE("flags") // too narrow
      .seek(2)
      .Int32LE("index") // signed
      .seek(4) // too far
      .UInt32LE("count")
      .compile();
    const facts = new Map([
      ...structFacts(wrong),
      ...constantFacts([{ name: "VFIO_IRQ_SET_DATA_BOOL", value: 3 }]),
    ]);
    expect(compare(facts)).toEqual([
      "struct-size vfio_irq_info: here 20, in C 16",
      "size vfio_irq_info.flags: here 2, in C 4",
      "signed vfio_irq_info.index: here 1, in C 0",
      "offset vfio_irq_info.count: here 16, in C 12",
      "constant VFIO_IRQ_SET_DATA_BOOL: here 3, in C 2",
    ]);
    const stranger = new Struct("vfio_device_info")
      .Struct("argsz", new Struct("vfio_region_info").UInt32LE("argsz").compile())
      .compile();
    expect(compare(structFacts(stranger))).toContain(
      "type vfio_device_info.argsz vfio_region_info: here 1, in C 0",
    );
  });

  compilerTest("does not know a name that is not in the headers", () => {
    expect(() => compare(constantFacts([{ name: "VFIO_NO_SUCH_THING", value: 0 }]))).toThrow(
      "VFIO_NO_SUCH_THING",
    );
  });
});

describe(`newer than the headers (Linux ${release}): checked against the tables in expectations.ts`, () => {
  for (const type of allStructs.filter(newer))
    test(`struct ${type.name}`, () => {
      expect(type.baseSize).toBe(sizes[type.name]!);
      expect(layoutText(type)).toBe(newStructLayout(type.name)!);
    });

  for (const constant of allConstants.filter(newer))
    test(constant.name, () =>
      expect<number | bigint | undefined>(constant.value).toBe(newConstantValue(constant.name)),
    );
});

test("every VFIO and iommufd struct has the size of the kernel's field lists", () => {
  const ours = allStructs.filter(({ name }) => !name.startsWith("kvm_"));
  expect(Object.fromEntries(ours.map(({ name, baseSize }) => [name, baseSize]))).toEqual({ ...sizes });
});

test("members cover every byte, but for C's own padding", () => {
  const found = allStructs
    .map((type) => [type.name, holes(type)] as const)
    .filter(([, where]) => where.length > 0);
  expect(Object.fromEntries(found)).toEqual(padding as Record<string, string[]>);
});

describe("the registry", () => {
  const folder = join(import.meta.dir, "../../../src/regs/ioctl");
  // aarch64 has headers of its own: test/vm/suite/layouts.test.ts compares with those.
  const files = readdirSync(folder).filter((file) => file !== "kvm-arm64.ts");
  const sources = files.map((file) => readFileSync(join(folder, file), "utf8"));

  test("lists every struct that a file declares, once", () => {
    const declared = sources.flatMap((text) =>
      [...text.matchAll(/new Struct\("([^"]+)"\)/g)].map((match) => match[1]!),
    );
    expect(allStructs.map(({ name }) => name).sort()).toEqual(declared.sort());
    expect(new Set(declared).size).toBe(declared.length);
  });

  test("lists every constant that a file declares, once", () => {
    const prefixes = sources.flatMap((text) =>
      [...text.matchAll(/= constants\(\s*"([^"]+)"/g)].map((match) => match[1]!),
    );
    expect(prefixes.length).toBeGreaterThan(80);
    for (const prefix of prefixes)
      expect(allConstants.some(({ name }) => name.startsWith(prefix))).toBe(true);
    const names = allConstants.map(({ name }) => name);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});
