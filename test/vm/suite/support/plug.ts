// Devices that come and go: the harness is asked through the folder that it shares with the guest.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { find, sysDevices, type DeviceName } from "./devices.ts";

/** How long the harness, or the kernel, may take; in milliseconds. */
const patience = 90_000;

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + patience; !isSo(); await Bun.sleep(20))
    if (performance.now() > end) throw new Error(`in vain for ${patience / 1000} s: ${what}`);
}

/** @throws Error with what the harness says */
async function ask(request: string): Promise<void> {
  rmSync("/out/reply", { force: true });
  writeFileSync("/out/request.new", request);
  renameSync("/out/request.new", "/out/request");
  await until(request, () => existsSync("/out/reply"));
  const said = readFileSync("/out/reply", "utf8");
  rmSync("/out/reply");
  if (said !== "") throw new Error(`${request}: ${said}`);
}

/**
 * Presses the button of a device's slot: the kernel takes it from its driver, which may wait until it is closed.
 * @param name by which the machine has it
 */
export const unplug = (name: DeviceName): Promise<void> => ask(`unplug ${name}`);

/** Waits until the kernel has no device of this BDF any more. */
export const gone = (bdf: string): Promise<void> =>
  until(`${bdf} goes`, () => !existsSync(`${sysDevices}/${bdf}`));

function turnSlotsOn(): void {
  const slots = "/sys/bus/pci/slots";
  for (const slot of existsSync(slots) ? readdirSync(slots) : []) {
    const power = `${slots}/${slot}/power`;
    if (existsSync(power) && readFileSync(power, "utf8").trim() === "0") writeFileSync(power, "1");
  }
}

/** Plugs a device that was unplugged, and waits until the kernel has it again, at the BDF that it had. @returns the BDF */
export async function plug(name: DeviceName): Promise<string> {
  await ask(`plug ${name}`);
  const isThere = (): boolean => {
    try {
      return existsSync(`${sysDevices}/${find(name)}/config`);
    } catch {
      return false;
    }
  };
  // Native slots (pciehp) wait a second after they were turned off, and take no button meanwhile; and five after one that they took.
  for (let turn = 0; turn < 100 && !isThere(); turn++) await Bun.sleep(20);
  if (!isThere()) turnSlotsOn();
  await until(`${name} comes`, isThere);
  return find(name);
}
