// An NVMe disk (NVM Express 1.4) that is a file of this host: Linux's nvme drives it, and so do firmwares.
import { modelCapability, modelledDevice } from "bun-vfio";
import type { DeviceEnvironment, DmaMedium, ModelledDevice } from "bun-vfio";
import { AsyncFile } from "bun-vfio/ffi";
import { capabilityId, expressCapability, powerManagementCapability } from "bun-vfio/regs";
import { Controller, workingAtOnce } from "./controller.ts";
import { nvmeMap, queueCount } from "./registers.ts";
import { restoreController, saveController } from "./state.ts";

export interface NvmeOptions {
  /** Paths of files, or what holds the blocks: one, since there is one namespace. Its size is that of the disk. */
  readonly namespaces: readonly (string | DmaMedium)[];
  /** Up to 20 characters; "1" without. */
  readonly serial?: string | undefined;
}
type Make = (environment: DeviceEnvironment) => ModelledDevice;

/** Makes a disk. @throws RangeError for options that cannot be, VfioError for a file that cannot be opened */
export function nvme({ namespaces, serial = "1" }: NvmeOptions): Make {
  const [medium, ...more] = namespaces;
  if (medium === undefined || more.length > 0)
    throw new RangeError(`one namespace, not ${namespaces.length}: make a controller for each file`);
  if (!/^[ -~]{1,20}$/.test(serial))
    throw new RangeError(`"serial" must be 1 to 20 printable characters, not ${JSON.stringify(serial)}`);
  return modelledDevice({
    ...{ name: "nvme", vendorId: 0x1b36, deviceId: 0x0010, classCode: 0x01_0802, revision: 2 },
    ...{ subsystemVendorId: 0x1af4, subsystemId: 0x1100 },
    bars: { 0: { map: nvmeMap, size: 0x4000, kind: "memory64" } },
    msix: { vectors: queueCount, bar: 0, table: 0x2000, pba: 0x3000 },
    capabilities: [
      modelCapability(powerManagementCapability, capabilityId.powerManagement, { "capabilities.version": 3 }),
      modelCapability(expressCapability, capabilityId.express, {
        ...{ "flags.version": 2, "deviceCapabilities.functionLevelReset": true },
      }),
    ],
    create(context) {
      const depth = (queueCount - 1) * workingAtOnce + 1;
      const opened = typeof medium === "string" ? AsyncFile.open(medium, { depth }) : medium;
      const controller = new Controller(context, opened, serial);
      return {
        bars: {
          0: {
            configuration: { write: () => controller.configure() },
            tables: {
              "doorbell.tail": {
                write: (value, _, id) => controller.ring("submissions", id, value as number),
              },
              "doorbell.head": {
                write: (value, _, id) => controller.ring("completions", id, value as number),
              },
            },
          },
        },
        reset: () => controller.reset(),
        save: () => saveController(controller),
        restore: (state) => restoreController(controller, state),
        close: () => controller[Symbol.dispose](),
      };
    },
  });
}

/** The module that `serveDevice` runs in a thread. */
export default (environment: DeviceEnvironment, options: NvmeOptions): ModelledDevice =>
  nvme(options)(environment);
