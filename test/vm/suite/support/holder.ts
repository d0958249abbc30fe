import { join } from "node:path";
import { root } from "../../../support/tree.ts";

/** A process of its own. */
export interface Holder {
  readonly pid: number;
  /** @param signal what it is ended by @returns its exit code, or the signal that ended it */
  end(signal?: "SIGKILL" | "SIGTERM"): Promise<number | string>;
}

/**
 * A process that opens a device and holds it until it is told to end.
 * @param then code that goes on with `device` @param stderr `ignore` for a process that is to crash
 */
export async function holder(
  bdf: string,
  api: string,
  then = "",
  stderr: "inherit" | "ignore" = "inherit",
): Promise<Holder> {
  const src = join(root, "src");
  const script = `
    import * as ffi from "${src}/ffi/index.ts";
    import { openDevice } from "${src}/device/backends/kernel/open-device.ts";
    const device = openDevice("${bdf}", { api: "${api}" });
    ${then}
    console.log("open");
    await Bun.sleep(600000);
    device.reset();`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr });
  const { value } = await child.stdout.getReader().read();
  if (!new TextDecoder().decode(value).startsWith("open")) throw new Error("the child could not open it");
  return {
    pid: child.pid,
    end: async (signal = "SIGKILL") => {
      child.kill(signal);
      await child.exited;
      return child.signalCode ?? child.exitCode!;
    },
  };
}
