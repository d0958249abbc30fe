// The devices that machines have at the other end of a socket: the module that runs in the thread of each.
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { edu } from "../../examples/devices/edu.ts";
import { nvme } from "../../examples/devices/nvme/nvme.ts";
import { uart } from "../../examples/devices/uart.ts";
import { readImage } from "../../src/image/index.ts";
import { RecordedDevice, type DeviceEnvironment } from "../../src/index.ts";
import type { DeviceBackend } from "../../src/device/seam/backend.ts";
import { diskOf } from "./harness/qemu.ts";

/** Which device, what it is called in its machine, and the folder that is the guest's /out. */
export interface Served {
  readonly device: string;
  readonly name: string;
  readonly out: string;
}

/** Says again what it hears, and keeps that in a file. */
function echo(file: string): ReturnType<typeof uart> {
  let answer: (bytes: Iterable<number>) => void = () => {};
  return uart({
    onReady: (receive) => void (answer = receive),
    send(byte) {
      appendFileSync(file, Uint8Array.of(byte));
      answer([byte]);
    },
  });
}

export default function make(environment: DeviceEnvironment, { device, name, out }: Served): DeviceBackend {
  if (device === "edu") return edu(environment);
  if (device === "nvme") return nvme({ namespaces: [diskOf(out, name)], serial: "BUNVFIO0" })(environment);
  if (device === "uart") return echo(join(out, `${name}.txt`))(environment);
  const image = /^recorded ([\w-]+)$/.exec(device)?.[1];
  if (image === undefined) throw new RangeError(`no device is called "${device}"`);
  return new RecordedDevice(
    readImage(readFileSync(join(import.meta.dir, `../../images/${image}.json`), "utf8")),
  );
}
