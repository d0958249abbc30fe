// `npm run test:peers`: this library's two ends against those of the Rust crate `vfio_user`, which cargo builds. It needs the
// crates' registry, so it is no part of `npm test`.
import { expect } from "bun:test";
import { cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { RegionIndex } from "bun-vfio";
import { MemoryFile } from "bun-vfio/ffi";
import { connectDevice, serveDevice } from "bun-vfio/vfio-user";
import { Sandbox } from "../support/sandbox.ts";

const crate = "vfio_user";
const version = "0.1.7";
const here = import.meta.dir;
using box = new Sandbox();

async function run(what: string, command: readonly string[], cwd = box.path): Promise<string> {
  const process_ = Bun.spawn([...command], { cwd, stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([
    new Response(process_.stdout).text(),
    new Response(process_.stderr).text(),
    process_.exited,
  ]);
  if (code !== 0) throw new Error(`${what}: exit code ${code}\n${out}${err}`);
  return out;
}

async function theirClient(): Promise<void> {
  const project = join(box.path, "rust-client");
  cpSync(join(here, "rust-client"), project, { recursive: true });
  await run("cargo build", ["cargo", "build", "--quiet", "--target-dir", "target"], project);
  const socket = join(box.path, "ours.sock");
  await using server = serveDevice(new URL("../support/socket-device.ts", import.meta.url), { socket });
  await server.ready;
  const out = await run("the crate's client", [join(project, "target/debug/rust-client"), socket]);
  expect(out.trim().split("\n")).toEqual([
    ...["region 0 size 4096 areas 0", "region 1 size 12288 areas 2", "region 7 size 256 areas 0"],
    ...["vectors 4", "config beef1234", "register edcba987", "mapped and unmapped", "interrupts 1"],
  ]);
  console.log(`${crate} ${version}, its client against our server: right`);
}

async function theirServer(): Promise<void> {
  await run("cargo install", [
    ...["cargo", "install", "--quiet", crate, "--version", version, "--example", "gpio"],
    ...["--root", box.path],
  ]);
  const socket = join(box.path, "theirs.sock");
  const server = Bun.spawn([join(box.path, "bin/gpio"), "--socket-path", socket], {
    stdout: "ignore",
    stderr: "ignore",
  });
  for (let tries = 0; tries < 500 && !existsSync(socket); tries++) await Bun.sleep(10);
  {
    using device = connectDevice(socket, { keepAlive: true });
    const id = new DataView(new ArrayBuffer(4));
    device.read(RegionIndex.config, 0, new Uint8Array(id.buffer));
    // The GPIO card of ACCES that the example stands for.
    expect(id.getUint32(0, true)).toBe(0x0dc8494f);
    expect(device.regions.filter(({ size }) => size > 0).length).toBeGreaterThan(1);
    expect(device.irqs[0]!.count).toBe(1);
    using file = new MemoryFile({ size: 4096, name: "RAM" });
    using memory = file.map();
    device.dma.map({ iova: 0, size: 4096, hva: memory.address, file: { fd: file.fd, offset: 0 } });
    device.dma.unmap(0, 4096);
  }
  server.kill();
  await server.exited;
  console.log(`${crate} ${version}, its example server with our client: right`);
}

await theirClient();
await theirServer();
process.exit(0);
