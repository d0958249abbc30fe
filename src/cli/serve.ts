// Gives a device, recorded or real, to a virtual machine monitor that speaks vfio-user, until a signal ends it.
import { resolve } from "node:path";
import { openDevice } from "../device/backends/kernel/open-device.ts";
import { RecordedDevice } from "../device/backends/recorded/recorded-device.ts";
import { TracedBackend } from "../device/seam/traced-backend.ts";
import { formatTraceEntry, traceListener } from "../device/seam/trace-text.ts";
import type { ServedDevice, ServerEvent } from "../device/vfio-user/server/options.ts";
import { serveDevice } from "../device/vfio-user/server/serve-device.ts";
import { CliError, exitCode, failureText } from "./failure.ts";
import { findDevice, sysroot } from "./host.ts";
import { openInput } from "./input.ts";
import { print, ReaderLeft, stdout, tell } from "./output.ts";
import { progress } from "./progress.ts";

export interface ServeCommandOptions {
  readonly socket: string;
  /** The BDF to take of a dump. */
  readonly device?: string | undefined;
  readonly trace?: boolean | undefined;
}

const signals = ["SIGINT", "SIGTERM"] as const;

/** Serves until SIGINT or SIGTERM: the event loop does the work after this has returned. @returns its exit code */
export function serveCommand(what: string, options: ServeCommandOptions): number {
  const socket = resolve(options.socket);
  const served = devices(what, options.device);
  let stop = (): void => {};
  const printed = traceListener((entry) => {
    try {
      stdout.write(`${formatTraceEntry(entry)}\n`);
      stdout.flush();
    } catch (error) {
      // Nobody reads any more.
      stop();
      if (!(error instanceof ReaderLeft)) throw error;
    }
  });
  const device = options.trace ? new TracedBackend(served.device, printed) : served.device;
  const server = serveDevice(() => ({ ...served, device }), { socket, onEvent: announce });
  print(`${served.device.name} at ${socket}\n${qemuWords(socket)}\n`);
  stop = (): void => {
    for (const signal of signals) process.off(signal, stop);
    server.stop().catch((error: unknown) => {
      tell(failureText(error));
      process.exitCode = exitCode.failed;
    });
  };
  for (const signal of signals) process.on(signal, stop);
  return exitCode.ok;
}

function devices(what: string, device: string | undefined): ServedDevice {
  const input = openInput(what, device);
  if (input.kind === "sysfs") {
    const { bdf, vfio } = findDevice(sysroot(), what);
    if (!vfio)
      throw new CliError(
        `${bdf}: only a device that is bound to vfio-pci can be served; bun-vfio bind ${bdf}`,
      );
    progress.wait(`opening ${bdf}`);
    const opened = openDevice(bdf);
    return { device: opened, dma: opened.dma };
  }
  const [first, second] = input.devices;
  if (!first || second) throw new CliError(`${what}: it has several devices; choose one with --device`);
  return { device: new RecordedDevice(first.image) };
}

/**
 * What attaches the device to QEMU 10.1 or newer. Memory is shared: QEMU passes a descriptor of it, and without the word the
 * device would see another copy of it.
 */
function qemuWords(socket: string): string {
  const device = JSON.stringify({ driver: "vfio-user-pci", socket: { type: "unix", path: socket } });
  return [
    "qemu-system-x86_64 -machine q35,memory-backend=ram -m 1G",
    "-object memory-backend-memfd,id=ram,size=1G,share=on",
    `-device '${device}'`,
  ].join(" \\\n  ");
}

function announce(event: ServerEvent): void {
  switch (event.kind) {
    case "client-connected":
      return tell(`process ${event.pid} connects`);
    case "client-left":
      return tell(`the client leaves${event.reason === undefined ? "" : `: ${event.reason}`}`);
    case "client-refused":
      return tell(`process ${event.pid} of user ${event.uid} is refused`);
    case "request-failed":
      return tell(`${event.command} is refused: ${event.message}`);
    case "device-failed":
      return tell(`the device fails: ${event.message}`);
  }
}
