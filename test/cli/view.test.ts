// `bun-vfio view`: pages of whatever the other commands read, files for their owner alone, a server until a signal.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PageData } from "../../src/view/page-data.ts";
import { Machine } from "../support/host-machine.ts";
import { blocksOf, commandsOf } from "../project/markdown.ts";
import { recordFlight } from "../view/recorded-flight.ts";
import { busy, nvme } from "./on-machine.ts";
import { bunVfio, root, temporary, type RunOptions } from "./run.ts";

// Each test starts the command.
setDefaultTimeout(60_000);

/** What a page holds. */
const held = (html: string): PageData =>
  JSON.parse(
    /<script type="application\/json" id="data">(.*)<\/script>\n<script>/s.exec(html)![1]!,
  ) as PageData;

/** The page that the command prints; it must succeed. */
function page(words: readonly string[], options?: RunOptions): PageData {
  const { code, out, err } = bunVfio(["view", ...words], options);
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return held(out);
}

describe("what it shows", () => {
  test("an image, with what is made of it", () => {
    const { devices, ...others } = page(["images/igb.json"]);
    expect(others).toEqual({
      title: "0000:04:00.0",
      live: false,
      made: expect.any(String) as string,
    } as never);
    expect(devices).toHaveLength(1);
    expect(devices[0]).toMatchObject({
      name: "0000:04:00.0",
      source: "images/igb.json: an image",
      guest: { msiVectors: 1 },
    });
    expect(devices[0]!.guest!.patches.map(({ name }) => name)).toContain("SR-IOV");
  });

  test("each device of a dump, or the one that is asked for; bridges with the reason", () => {
    const dump = "test/data/lspci-xxxx.txt";
    const { title, devices } = page([dump]);
    expect(devices).toHaveLength(26);
    expect(title).toBe("0000:00:00.0 and 25 more");
    expect(devices.find(({ name }) => name === "0000:00:02.0")!.noGuest).toContain("not an endpoint's");
    expect(page([dump, "--device", "02:00.0"]).devices.map(({ name }) => name)).toEqual([nvme]);
  });

  test("standard input, and several files", () => {
    const input = readFileSync(join(root, "images/edu.json"));
    const { devices } = page(["-", "images/nvme.json"], { input });
    expect(devices.map(({ name }) => name)).toEqual(["0000:01:00.0", "0000:02:00.0"]);
  });

  test("a recording, its device first", () => {
    using folder = temporary();
    recordFlight(folder.at("card.flight"));
    const { devices, flight } = page(["images/nvme.json", folder.at("card.flight")]);
    expect(flight!.name).toBe(folder.at("card.flight"));
    expect(devices[0]!.guest!.bars.map(({ name }) => name)).toEqual(["BAR0", "BAR2"]);
    expect(devices[1]!.name).toBe("0000:02:00.0");
    const { code, err } = bunVfio(["view", folder.at("card.flight"), folder.at("card.flight")]);
    expect({ code, err }).toEqual({
      code: 2,
      err: `bun-vfio: ${folder.at("card.flight")}: a page shows one recording; make a page of each\n`,
    });
  });

  test("a recording that comes through a pipe", () => {
    using folder = temporary();
    recordFlight(folder.at("card.flight"));
    const { flight } = page(["-"], { input: readFileSync(folder.at("card.flight")) });
    expect(flight!.name).toBe("standard input");
  });

  test("this host: ports, devices, groups, and who blocks them", () => {
    using machine = new Machine();
    busy(machine);
    machine.bind("0000:00:1f.3", "vfio-pci");
    const env = { BUN_VFIO_ROOT: machine.root };
    const { host, devices } = page(["host"], { env });
    const disk = host!.devices.find(({ bdf }) => bdf === nvme)!;
    expect(disk).toMatchObject({ parent: "0000:00:02.1", group: 12, state: "in-use", verdict: "in use" });
    expect(disk.reason).toBe("nvme0n1 is mounted at /");
    const group = host!.groups.find(({ id }) => id === 10)!;
    expect(group).toMatchObject({ state: "blocked", verdict: "blocked" });
    expect(group.members.filter(({ blocks }) => blocks).map(({ name, driver }) => [name, driver])).toEqual([
      ["0000:00:1f.2", "ahci"],
    ]);
    expect(devices.map(({ name }) => name)).toContain(nvme);
    expect(page([nvme], { env }).devices[0]).toMatchObject({ name: nvme, source: "this host" });
  });
});

describe("docs/viewer.md", () => {
  const commands = blocksOf(readFileSync(join(root, "docs/viewer.md"), "utf8"))
    .filter(({ language }) => language === "sh")
    .flatMap(commandsOf);
  test("has commands", () => expect(commands).toHaveLength(2));
  test.each(commands.map(({ words }) => [words.join(" "), words] as const))("%s makes a page", (_, words) => {
    using folder = temporary();
    symlinkSync(join(root, "images"), folder.at("images"));
    const { code, err } = bunVfio(words.slice(1), { cwd: folder.path });
    expect([words[0], code, err]).toEqual(["bun-vfio", 0, ""]);
    expect(folder.list()).toEqual(["images", words.at(-1)!]);
  });
});

describe("the file", () => {
  test("is for its owner alone, and no other is replaced unless it is to be", () => {
    using folder = temporary();
    const path = folder.at("page.html");
    const make = (...more: string[]) => bunVfio(["view", "images/edu.json", "-o", path, ...more]);
    expect(make()).toEqual({ code: 0, out: `${path}\n`, err: "" });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(held(readFileSync(path, "utf8")).title).toBe("0000:01:00.0");
    expect(make()).toEqual({
      code: 2,
      out: "",
      err: `bun-vfio: ${path}: it exists; add --force to replace it\n`,
    });
    expect(make("--force").code).toBe(0);
    expect(folder.list()).toEqual(["page.html"]);
  });
});

test.each([
  [["none.json"], /^bun-vfio: none\.json: cannot read it: no such file; check the path\n$/],
  [["package.json"], /^bun-vfio: package\.json: /],
  [["images/edu.json", "--port", "80"], /^bun-vfio: --port is for --serve\n$/],
  [["images/edu.json", "--serve", "-o", "page.html"], /^bun-vfio: --serve writes no file: leave out -o\n$/],
  [["none.json", "--serve"], /^bun-vfio: none\.json: cannot read it: no such file; check the path\n$/],
])("%j is refused in one line", (words, said) => {
  const { code, out, err } = bunVfio(["view", ...words]);
  expect({ code, out, err }).toEqual({ code: 2, out: "", err: expect.stringMatching(said) as string });
});

test("a recording that is cut off is refused", () => {
  using folder = temporary();
  recordFlight(folder.at("card.flight"));
  writeFileSync(folder.at("cut.flight"), readFileSync(folder.at("card.flight")).subarray(0, 200_000));
  const { code, err } = bunVfio(["view", folder.at("cut.flight")]);
  expect({ code, err }).toEqual({
    code: 2,
    err: expect.stringContaining("it says that it has 10000 entries") as string,
  });
});

test.each(["SIGTERM", "SIGINT"] as const)("serves what is there at each visit, until %s", async (signal) => {
  using folder = temporary();
  const path = folder.at("card.json");
  const image = readFileSync(join(root, "images/edu.json"), "utf8");
  writeFileSync(path, image);
  const server = Bun.spawn([process.execPath, join(root, "src/cli/main.ts"), "view", path, "--serve"], {
    ...{ cwd: root, stdout: "pipe", stderr: "pipe" },
  });
  const reader = server.stdout.getReader();
  const url = new TextDecoder().decode((await reader.read()).value).trim();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}\/$/);
  const visit = async (): Promise<PageData> => held(await (await fetch(url)).text());
  expect(await visit()).toMatchObject({ live: true, devices: [{ name: "0000:01:00.0" }] });
  writeFileSync(path, image.replaceAll("0000:01:00.0", "0000:07:00.0"));
  expect((await visit()).devices[0]!.name).toBe("0000:07:00.0");
  server.kill(signal);
  expect(await server.exited).toBe(0);
  expect(await new Response(server.stderr).text()).toBe("");
});
