// Makes dist/bun/, what Bun loads of an installed package: one build in chunks that all entry points share, so that a class is the
// same whichever entry point it came from, with the licenses of the packages in it; and dist/worker-texts.json, the threads' modules
// for programs of one file.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import type { BunPlugin } from "bun";

const root = join(import.meta.dir, "..");
const source = join(root, "src");
const out = join(root, "dist/bun");

/** What stands beside the chunks under its own name; paths below src/. */
const entries: Record<string, string> = {
  index: "index.ts",
  regs: "regs/index.ts",
  ioctl: "regs/ioctl/index.ts",
  ffi: "ffi/index.ts",
  kvm: "kvm/index.ts",
  image: "image/index.ts",
  "vfio-user": "device/vfio-user/index.ts",
};
const workers = ["ffi/epoll-worker.ts", "kvm/vcpu-thread.ts", "device/vfio-user/server/server-worker.ts"];
const command = "cli/main.ts";

/** What is loaded when it is first used is a file of its own, by this name. */
const flatName = (path: string): string => relative(source, path).replace(/\.ts$/, "").replaceAll("/", "-");

/**
 * What takes the place of `require(...)`: in Bun's own output there is no `require`, and a bundler knows nothing else. The
 * placeholder, which the build leaves alone, is as long, so that source maps stay true.
 */
const call = (path: string): string =>
  `(typeof require==="function"?require("${path}"):import.meta.require("${path}"))`;
const placeholder = (path: string): string => `${"$".repeat(call(path).length - path.length - 4)}("${path}")`;
const placeholders = /\${40,}\("([^"]+)"\)/g;

const requireOf = /\brequire\("(\.\/[^"]+\.ts)"\)/g;
/** Every module that is loaded later, by its name beside the chunks. */
const later = new Map<string, string>();
for (const file of new Bun.Glob("**/*.ts").scanSync({ cwd: source, absolute: true }))
  for (const [, name] of readFileSync(file, "utf8").matchAll(requireOf)) {
    const target = join(dirname(file), name!);
    later.set(flatName(target), target);
  }
const requires: BunPlugin = {
  name: "what is loaded later",
  setup(build) {
    build.onLoad({ filter: /\/src\/.*\.ts$/ }, async ({ path }) => {
      const text = await Bun.file(path).text();
      const contents = text
        .replace(requireOf, (_, name: string) => placeholder(`./${flatName(join(dirname(path), name))}.js`))
        .replace(/\brequire\("[./]+\/dist\/([^"]+)"\)/g, (_, name: string) => placeholder(`../${name}`));
      return { contents, loader: "ts" };
    });
  },
};

/** Two packages that typed-struct asks for and does without. */
const absent: BunPlugin = {
  name: "what is not there",
  setup(build) {
    build.onResolve({ filter: /^(?:debug|iconv-lite)$/ }, ({ path }) => ({ path, namespace: "absent" }));
    build.onLoad({ filter: /.*/, namespace: "absent" }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not there`)});`,
      loader: "js",
    }));
  },
};

async function build(entrypoints: string[], splitting: boolean) {
  const { outputs } = await Bun.build({
    ...{ entrypoints, naming: { entry: "[name].[ext]" }, target: "bun", splitting },
    plugins: splitting ? [requires, absent] : [absent],
    ...{ sourcemap: splitting ? "linked" : "none", minify: { whitespace: true, syntax: true } },
    ...(splitting ? { outdir: out } : {}),
  });
  return outputs;
}

/** Small modules that stand for others, since the name of an output is that of its entry. @returns their paths */
function standIns(folder: string, of: Iterable<readonly [name: string, path: string]>): string[] {
  return [...of].map(([name, path]) => {
    const entry = join(folder, `${name}.ts`);
    writeFileSync(entry, `export * from "${relative(folder, path)}";\n`);
    return entry;
  });
}

/** The licenses of the packages that were bundled, as they have them. */
function licenses(maps: readonly string[]): string {
  const names = maps.flatMap((path) =>
    [...readFileSync(path, "utf8").matchAll(/node_modules\/((?:@[^/"]+\/)?[^/"]+)\//g)].map(
      ([, name]) => name!,
    ),
  );
  const texts = [...new Set(names)].sort().map((name) => {
    const folder = join(root, "node_modules", name);
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`${name} has no license to bring along`);
    return `${name}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return texts.join("\n\n");
}

// Names of chunks follow from the paths that they are made of: the same sources make the same files.
const folder = join(root, "dist/entries");
for (const each of [out, folder]) mkdirSync(each, { recursive: true });
try {
  const threads = workers.map((path) => join(source, path));
  const texts: Record<string, string> = {};
  for (const path of threads) texts[basename(path, ".ts")] = await (await build([path], false))[0]!.text();
  await Bun.write(join(root, "dist/worker-texts.json"), JSON.stringify(texts));
  const given = Object.entries(entries).map(([name, path]) => [name, join(source, path)] as const);
  const own = [...threads, join(source, command), ...standIns(folder, given), ...standIns(folder, later)];
  const outputs = await build(own, true);
  for (const { path } of outputs.filter((each) => each.path.endsWith(".js"))) {
    const text = await Bun.file(path).text();
    const called = text.replace(placeholders, (_, name: string) => call(name));
    writeFileSync(path, called);
  }
  const maps = outputs.map(({ path }) => path).filter((path) => path.endsWith(".map"));
  writeFileSync(join(out, "licenses.txt"), licenses(maps));
} finally {
  rmSync(folder, { recursive: true });
}
