// The vfio-user servers of a machine's devices, on the host: each in a thread of its own.
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { serveDevice } from "../../../src/device/vfio-user/index.ts";
import type { Machine } from "../machines.ts";
import type { Served } from "../served.ts";
import { socketOf } from "./qemu.ts";

/** What happened to servers, for tests to read: lines of JSON. */
const events = (out: string): string => join(out, "served.log");

/** Starts those that a machine needs. @returns disposing of it ends them @throws VfioError where one cannot listen */
export async function startServers({ devices }: Machine, out: string): Promise<AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  for (const [name, { device, served }] of Object.entries(devices)) {
    if (!served) continue;
    const data: Served = { device, name, out };
    const server = serveDevice(
      new URL("../served.ts", import.meta.url),
      {
        socket: socketOf(out, name),
        onEvent: (event) => appendFileSync(events(out), `${JSON.stringify({ name, ...event })}\n`),
      },
      data,
    );
    started.use(server);
    await server.ready;
  }
  return started.move();
}
