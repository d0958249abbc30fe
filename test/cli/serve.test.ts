// `bun-vfio serve`: a recording at a socket, until a signal.
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { connectDevice } from "../../src/device/vfio-user/index.ts";
import { RegionIndex } from "../../src/regs/vfio/regions.ts";
import { readImage } from "../../src/image/read.ts";
import { bunVfio, root, temporary } from "./run.ts";

setDefaultTimeout(60_000);

const image = readImage(readFileSync(join(root, "images/nvme.json"), "utf8"));

/** A server that listens: a socket is there a moment before, and refuses whoever connects. */
async function served(socket: string, ...more: string[]) {
  const server = Bun.spawn(
    [
      process.execPath,
      join(root, "src/cli/main.ts"),
      "serve",
      "images/nvme.json",
      "--socket",
      socket,
      ...more,
    ],
    { cwd: root, stdout: "pipe", stderr: "pipe" },
  );
  const reader = server.stdout.getReader();
  let said = "";
  const hears = async (): Promise<boolean> => {
    const { done, value } = await reader.read();
    if (!done) said += new TextDecoder().decode(value);
    return !done;
  };
  while (!said.includes(`at ${socket}\n`))
    if (!(await hears())) throw new Error(await new Response(server.stderr).text());
  const out = async (): Promise<string> => {
    while (await hears());
    return said;
  };
  return { server, out };
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "serves a recording until %s, and leaves nothing",
  async (signal) => {
    using folder = temporary();
    const socket = folder.at("nvme.sock");
    const { server, out: printed } = await served(socket);
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    {
      using device = connectDevice(socket, { timeout: 10_000, keepAlive: true });
      const config = new Uint8Array(image.config.length);
      device.read(RegionIndex.config, 0, config);
      using recorded = new RecordedDevice(image);
      const expected = new Uint8Array(config.length);
      recorded.read(RegionIndex.config, 0, expected);
      expect(config).toEqual(expected);
      expect(device.regions.map(({ size }) => size)).toEqual(
        Array.from({ length: 9 }, (_, i) => image.regions.find(({ index }) => index === i)?.size ?? 0),
      );
    }
    server.kill(signal);
    expect(await server.exited).toBe(0);
    expect(existsSync(socket)).toBe(false);
    const out = await printed();
    expect(out).toStartWith(
      `0000:02:00.0 at ${socket}\nqemu-system-x86_64 -machine q35,memory-backend=ram -m 1G \\\n`,
    );
    expect(out).toContain(`-device '{"driver":"vfio-user-pci","socket":{"type":"unix","path":"${socket}"}}'`);
    expect(await new Response(server.stderr).text()).toMatch(
      /^bun-vfio: process \d+ connects\nbun-vfio: the client leaves\n$/,
    );
  },
);

test("--trace prints each access", async () => {
  using folder = temporary();
  const socket = folder.at("nvme.sock");
  const { server, out } = await served(socket, "--trace");
  {
    using device = connectDevice(socket, { timeout: 10_000, keepAlive: true });
    device.read(RegionIndex.config, 0, new Uint8Array(4));
  }
  server.kill("SIGTERM");
  await server.exited;
  expect(await out()).toMatch(/CONFIG.*0x0/);
});

test("what cannot be served is said in one line", () => {
  using folder = temporary();
  const run = (...args: string[]) => {
    const { code, out, err } = bunVfio(["serve", ...args]);
    return { code, out, err };
  };
  expect(run("images/nvme.json")).toEqual({
    ...{ code: 2, out: "" },
    err: "bun-vfio: required option '--socket <path>' not specified; see bun-vfio --help\n",
  });
  const many = run("test/data/lspci-xxxx.txt", "--socket", folder.at("s"));
  expect([many.code, many.err]).toEqual([
    2,
    expect.stringMatching(/it has several devices; choose one with --device\n$/),
  ]);
  const nowhere = run("images/nvme.json", "--socket", folder.at("none/s"));
  expect([nowhere.code, nowhere.err]).toEqual([2, expect.stringContaining("there is no such folder")]);
});
