// Packs the tarball, installs it into empty projects and uses it there. Slow, so its name keeps it out of a plain
// `bun test`: run it with `npm run test:package`. The installs fetch this package's dependencies.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";

const minute = 60_000;
const bun = process.execPath;
const box = new Sandbox();
const tarball = join(box.path, `${manifest.name}-${manifest.version}.tgz`);
const built = join(box.path, "built");
const packed = new Set<string>();

function must(command: readonly string[], cwd: string): string {
  const { code, stdout, stderr } = box.run(command, { cwd });
  if (code !== 0) throw new Error(`${command.join(" ")} exited with ${code}:\n${stdout}${stderr}`);
  return stdout;
}

/** Right and wrong uses: a compiler that saw our types reports exactly the wrong ones. */
const right = `
import * as vfio from "${manifest.name}";
import { Eventfd, MappedRegisters, Mapping } from "${manifest.name}/ffi";
import * as image from "${manifest.name}/image";
import { TrapBus } from "${manifest.name}/kvm";
import { type Bdf, formatBdf, parseBdf } from "${manifest.name}/regs";
import { bytesOf, create, VfioRegionInfo } from "${manifest.name}/regs/ioctl";
import { defaultLimits } from "${manifest.name}/vfio-user";

const limit: number = defaultLimits.maxTransfer;
const bdf: Bdf = parseBdf("0000:01:00.0");
const info = create(VfioRegionInfo);
info.argsz = bytesOf(info).byteLength;
const argsz: number = info.argsz;
using memory = new Mapping({ size: 4096, name: "memory" });
const registers = new MappedRegisters(memory);
registers.write64(8, 5n);
using eventfd = new Eventfd();
eventfd.signal(Number(registers.read64(8)));
const bus = new TrapBus();
bus.ioWrite(0x80, new Uint8Array(1));
console.log(eventfd.drain(), formatBdf(bdf), Object.keys(vfio).length > 0, Object.keys(image).length > 0, argsz, limit);
`;
const wrong = `import * as vfio from "${manifest.name}";
import { MemoryFile } from "${manifest.name}/ffi";
import * as image from "${manifest.name}/image";
import { VirtualMachine } from "${manifest.name}/kvm";
import { formatBdf, parseBdf } from "${manifest.name}/regs";
import { create, VfioRegionInfo } from "${manifest.name}/regs/ioctl";
export const text: number = formatBdf(parseBdf("0000:01:00.0"));
export const face: number = vfio;
export const recorded: number = image;
parseBdf(0x0100);
export const size: number = create(VfioRegionInfo).size;
new MemoryFile({ size: 4096n, name: "memory" });
new VirtualMachine("/dev/kvm");
`;
const wrongLines = [
  "wrong.ts(7,14): error TS2322",
  "wrong.ts(8,14): error TS2322",
  "wrong.ts(9,14): error TS2322",
  "wrong.ts(10,10): error TS2345",
  "wrong.ts(11,14): error TS2322",
  "wrong.ts(12,18): error TS2322",
  "wrong.ts(13,20): error TS2345",
];

/** What Node gets of an entry that needs Bun, and what that says. */
const needsBun = "./dist/ffi/needs-bun.js";
const refusal =
  "This entry point of bun-vfio runs under Bun alone: start the program with `bun`. Elsewhere there are bun-vfio/regs and bun-vfio/image.";

/** What a type checker reported, as file, place and code. */
function reported(outcome: { stdout: string }): string[] {
  return outcome.stdout.split("\n").flatMap((line) => /^\S+\(\d+,\d+\): error TS\d+/.exec(line)?.[0] ?? []);
}

const strict = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
  target: "esnext",
};

/**
 * Two projects that know nothing of Bun, one with the types that lie there and one that asks for none; and one as
 * `bun init` makes them.
 */
const projects = {
  plain: { devDependencies: {}, options: { ...strict, module: "nodenext" } },
  untyped: { devDependencies: {}, options: { ...strict, module: "nodenext", types: [] } },
  bun: {
    devDependencies: { "@types/bun": manifest.devDependencies["@types/bun"] },
    options: { ...strict, module: "preserve", moduleResolution: "bundler", lib: ["esnext"], types: ["bun"] },
  },
} as const;

const compilers: Record<string, string[]> = {
  "TypeScript 5.9": [bun, join(root, "node_modules/typescript/bin/tsc"), "--pretty", "false"],
  "TypeScript 7": [bun, join(root, "node_modules/typescript-7/bin/tsc"), "--pretty", "false"],
  "bun check": [bun, "check", "--no-script", "--no-pretty", "--all"],
};

beforeAll(() => {
  const names = [...manifest.files, "scripts", "package.json", "tsconfig.json", "tsconfig.build.json"];
  const also = ["LICENSE", "README.md"];
  box.copy(
    [...names, ...also].filter((name) => name !== "dist" && existsSync(join(root, name))),
    "built",
  );
  box.link(join(root, "node_modules"), "built/node_modules");
  box.write("built/dist/api/index.html", "the API reference of an earlier day");
  must([bun, "pm", "pack", "--destination", box.path], "built");
  for (const path of must(["tar", "-tzf", tarball], "").trim().split("\n"))
    packed.add(path.replace("package/", ""));

  for (const [name, { devDependencies, options }] of Object.entries(projects)) {
    box.write(`${name}/package.json`, {
      type: "module",
      private: true,
      dependencies: { [manifest.name]: `file:${tarball}` },
      devDependencies,
    });
    box.write(`${name}/tsconfig.json`, { compilerOptions: options, files: ["right.ts", "wrong.ts"] });
    box.write(`${name}/right.ts`, right);
    box.write(`${name}/wrong.ts`, wrong);
    must([bun, "install"], name);
  }
}, 3 * minute);

afterAll(() => box[Symbol.dispose](), minute);

describe("the tarball", () => {
  test("holds every file that the exports and the command name", () => {
    const targets = Object.values(manifest.exports)
      .flatMap((target) => (typeof target === "string" ? [target] : Object.values(target)))
      .map((target) => target.replace("./", ""));
    const holds = (target: string): boolean =>
      target.endsWith("*")
        ? [...packed].some((path) => path.startsWith(target.slice(0, -1)))
        : packed.has(target);
    expect([...targets, ...Object.values(manifest.bin)].filter((target) => !holds(target))).toEqual([]);
  });

  test("holds the documents that it lists", () => {
    for (const path of ["CHANGELOG.md", "CONTRIBUTING.md", "docs/image-format.md"])
      expect(packed).toContain(path);
  });

  test("holds the license, and nothing that only the project itself needs", () => {
    expect(packed.has("LICENSE")).toBe(true);
    const needless = [...packed].filter(
      (path) => !/^(?:src|dist|images|docs|examples)\/|^[A-Z]+(?:\.md)?$|^package\.json$/.test(path),
    );
    expect(needless).toEqual([]);
    expect([...packed].filter((path) => path.startsWith("dist/api"))).toEqual([]);
  });

  // Who has only Bun packs with Bun. Where the tests are to be complete, npm is there, or this fails.
  const absent = Bun.which("npm") === null && process.env["CI"] !== "true";
  test.skipIf(absent)(
    absent
      ? "holds the same files when npm packs it (skipped: npm is not installed)"
      : "holds the same files when npm packs it",
    () => {
      const listed = must(["npm", "pack", "--dry-run", "--json", "--ignore-scripts"], "built");
      const [{ files }] = JSON.parse(listed) as [{ files: { path: string }[] }];
      expect(files.map(({ path }) => path).sort()).toEqual([...packed].sort());
    },
    minute,
  );
});

describe("an installed copy", () => {
  test("brought the dependencies, the one that Node's types have, and no other", () => {
    const expected = [manifest.name, ...Object.keys(manifest.dependencies), "undici-types"].sort();
    const found = ["*/package.json", "@*/*/package.json"]
      .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(join(box.path, "plain/node_modules"))])
      .map((path) => path.replace("/package.json", ""))
      .sort();
    expect(found).toEqual(expected);
  });

  for (const project of Object.keys(projects)) {
    for (const [compiler, command] of Object.entries(compilers)) {
      test(
        `type-checks under ${compiler}, declarations included: project ${project}`,
        () => {
          const outcome = box.run(command, { cwd: project });
          expect({ outcome, reported: reported(outcome) }).toEqual({ outcome, reported: wrongLines });
          expect(outcome.code).not.toBe(0);
        },
        2 * minute,
      );
    }
  }

  test("runs under Bun", () => {
    expect(must([bun, "right.ts"], "plain")).toBe("5 0000:01:00.0 true true 32 1048576\n");
  });

  test("has the recordings to import", () => {
    box.write(
      "plain/recording.ts",
      `import nvme from "${manifest.name}/images/nvme.json" with { type: "json" };
import { readImage } from "${manifest.name}/image";
console.log(readImage(JSON.stringify(nvme)).bdf);
`,
    );
    expect(must([bun, "recording.ts"], "plain")).toBe("0000:02:00.0\n");
  });

  test("has the same exports built as JavaScript", async () => {
    for (const [entry, target] of Object.entries(manifest.exports)) {
      if (typeof target === "string" || target.default === needsBun) continue;
      const from = join(box.path, "plain/node_modules", manifest.name);
      const builtKeys = Object.keys((await import(join(from, target.default))) as object).sort();
      const sourceKeys = Object.keys((await import(join(from, target.bun))) as object).sort();
      expect({ entry, keys: builtKeys }).toEqual({ entry, keys: sourceKeys });
    }
  });

  // Only Bun has what the whole package needs; the pure entries run elsewhere too.
  const nodeless = Bun.which("node") === null && process.env["CI"] !== "true";
  test.skipIf(nodeless)(
    nodeless
      ? "runs its pure entries under Node (skipped: node is not installed)"
      : "runs its pure entries under Node, and says of the others that they need Bun",
    () => {
      const answers = Object.entries(manifest.exports).flatMap(([entry, target]) => {
        if (typeof target === "string") return [];
        const name = entry.replace(".", manifest.name);
        const program = `import(${JSON.stringify(name)}).then(() => console.log("runs"), (e) => console.log(e.message))`;
        return [`${name} ${must(["node", "-e", program], "plain").trim()}`];
      });
      expect(answers).toEqual([
        `${manifest.name} ${refusal}`,
        `${manifest.name}/regs runs`,
        `${manifest.name}/regs/ioctl runs`,
        `${manifest.name}/ffi ${refusal}`,
        `${manifest.name}/kvm ${refusal}`,
        `${manifest.name}/image runs`,
        `${manifest.name}/vfio-user ${refusal}`,
      ]);
    },
    minute,
  );

  test("has a command that answers", () => {
    box.link(bun, "bin/bun");
    const env = { ...process.env, PATH: `${box.path}/bin:${process.env["PATH"] ?? ""}`, NO_COLOR: "1" };
    const outcome = box.run([join(box.path, "plain/node_modules/.bin/bun-vfio"), "--help"], { env });
    expect(outcome.stderr).toBe("");
    expect(outcome.stdout).toContain("bun-vfio");
    expect(outcome.code).toBe(0);
  });
});

/** Uses every entry point, and the threads that need no KVM; says what each did. An image's own error is of no device. */
const everything = `
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { RecordedDevice, VfioError } from "${manifest.name}";
import { EventfdListener, Eventfd, VfioError as OfFfi } from "${manifest.name}/ffi";
import { readImage } from "${manifest.name}/image";
import { parseBzImage, TrapBus, VcpuThreads } from "${manifest.name}/kvm";
import { formatBdf, parseBdf } from "${manifest.name}/regs";
import { bytesOf, create, VfioRegionInfo } from "${manifest.name}/regs/ioctl";
import { connectDevice, serveDevice } from "${manifest.name}/vfio-user";

const failed = (name: string, step: () => unknown): void => {
  try {
    step();
  } catch (error) {
    console.log(name, error instanceof VfioError);
  }
};
console.log("ffi", VfioError === OfFfi);
failed("image", () => readImage("{}"));
failed("kvm", () => parseBzImage(new Uint8Array(8), "none"));
failed("vfio-user", () => connectDevice("/nowhere"));
console.log(formatBdf(parseBdf("0000:01:00.0")), bytesOf(create(VfioRegionInfo)).length, typeof VcpuThreads, new TrapBus() instanceof TrapBus);

using eventfd = new Eventfd();
const told = Promise.withResolvers<number>();
using listener = new EventfdListener(eventfd.fd, told.resolve, { via: "worker" });
eventfd.signal(3);
console.log("epoll thread", await told.promise);

const socket = mkdtempSync(tmpdir() + "/") + "/edu.sock";
await using server = serveDevice(new URL("file://" + process.argv.at(-1)), { socket });
await server.ready;
using device = connectDevice(socket);
const id = new Uint8Array(4);
device.read(7, 0, id);
console.log("device's thread", id.toHex());
`;
const answers = `ffi true
image false
kvm true
vfio-user true
0000:01:00.0 32 function true
epoll thread 3
device's thread 3412e811
`;

describe("a program of every entry point, whose classes are the same in all", () => {
  const device = (): string => join(box.path, "plain/device.ts");
  beforeAll(() => {
    box.write("plain/everything.ts", everything);
    box.write(
      "plain/device.ts",
      `import edu from "${manifest.name}/images/edu.json" with { type: "json" };
import { RecordedDevice } from "${manifest.name}";
import { readImage } from "${manifest.name}/image";
export default () => new RecordedDevice(readImage(JSON.stringify(edu)));
`,
    );
  });

  test("runs", () => {
    expect(must([bun, "everything.ts", device()], "plain")).toBe(answers);
  });

  test("bundled without a word more, runs", () => {
    must([bun, "build", "everything.ts", "--target=bun", "--outfile", join(box.path, "bundled.js")], "plain");
    expect(must([bun, "bundled.js", device()], "")).toBe(answers);
  });

  test(
    "compiled without a word more, runs",
    () => {
      must([bun, "build", "everything.ts", "--compile", "--outfile", join(box.path, "compiled")], "plain");
      // Such a program finds no packages: what it imports by its path brings them.
      const bundled = join(box.path, "device.js");
      must([bun, "build", "device.ts", "--target=bun", "--outfile", bundled], "plain");
      expect(must([join(box.path, "compiled"), bundled], "")).toBe(answers);
    },
    2 * minute,
  );

  test("holds the vCPU's thread, which needs KVM to do more", () => {
    expect(must(["grep", "-c", "KVM_RUN", join(box.path, "bundled.js")], "").trim()).not.toBe("0");
  });
});

test("what a program does not use is not in its bundle", () => {
  const sizeOf = (entry: string, name: string): number => {
    box.write(
      "plain/small.ts",
      `import { ${name} } from "${manifest.name}${entry}";\nconsole.log(${name});\n`,
    );
    const outfile = join(box.path, "small.js");
    must([bun, "build", "small.ts", "--target=bun", "--outfile", outfile], "plain");
    return Bun.file(outfile).size;
  };
  expect(sizeOf("/regs", "parseBdf")).toBeLessThan(3000);
  expect(sizeOf("/ffi", "Eventfd")).toBeLessThan(150_000);
  expect(sizeOf("", "VfioPciDevice")).toBeLessThan(700_000);
});

test("the licenses of what is bundled come with it", async () => {
  const path = join(box.path, "plain/node_modules", manifest.name, "dist/bun/licenses.txt");
  const names = (await Bun.file(path).text()).match(/^[a-z-]+$/gm);
  expect(names).toEqual(["commander", "typed-struct", "zod"]);
});

test("source maps lead to the sources, which are there", async () => {
  const folder = join(box.path, "plain/node_modules", manifest.name, "dist/bun");
  const { sources } = (await Bun.file(join(folder, "index.js.map")).json()) as { sources: string[] };
  const own = sources.filter((path) => path.includes("src/"));
  expect(own.length).toBeGreaterThan(10);
  expect(own.filter((path) => !existsSync(join(folder, path)))).toEqual([]);
});

test("an installed copy makes a page, of the sources that came with it", () => {
  const from = join(box.path, "plain/node_modules", manifest.name);
  const page = must([bun, join(from, "src/cli/main.ts"), "view", join(from, "images/edu.json")], "");
  expect(page).toStartWith("<!doctype html>");
  expect(page).toContain("0000:01:00.0");
});

test(
  "a program of one file makes the same page, of what the build made",
  () => {
    must([bun, "build", "--compile", "dist/bun/main.js", "--outfile", join(box.path, "one")], "built");
    const pageOf = (command: readonly string[]): string =>
      must([...command, "view", join(root, "images/edu.json")], "").replace(/[\d-]+T[\d:.]+Z/g, "");
    expect(pageOf([join(box.path, "one")])).toBe(pageOf([bun, join(root, "src/cli/main.ts")]));
  },
  2 * minute,
);

test("the build leaves nothing of the command's own to import", () => {
  expect(existsSync(join(built, "dist/cli"))).toBe(false);
});
