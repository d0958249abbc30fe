// A virtual function of igb, whose physical function is used through VFIO too.
import { readdirSync, readlinkSync, writeFileSync } from "node:fs";
import type { KernelDevice } from "../../../../src/device/backends/kernel/kernel-device.ts";
import { open, ways } from "./apis.ts";
import { bindTo, sysDevices, take } from "./devices.ts";

/** The token that its user has to give, but through a cdev of a kernel before Linux 6.18. */
export const token = "00112233-4455-6677-8899-aabbccddeeff";

/** Ends with the virtual function. */
export interface VirtualFunction extends Disposable {
  readonly bdf: string;
  readonly physical: KernelDevice;
}

export function virtualFunction(): VirtualFunction {
  writeFileSync("/sys/module/vfio_pci/parameters/enable_sriov", "Y");
  const name = take("igb");
  using own = new DisposableStack();
  const physical = own.use(open(name, ways[0]!));
  physical.setVfToken(token);
  own.defer(() => writeFileSync(`${sysDevices}/${name}/sriov_numvfs`, "0"));
  writeFileSync(`${sysDevices}/${name}/sriov_numvfs`, "1");
  const bdf = readlinkSync(`${sysDevices}/${name}/virtfn0`).split("/").at(-1)!;
  bindTo(bdf, "vfio-pci");
  const all = own.move();
  return {
    bdf,
    physical,
    [Symbol.dispose]: () => {
      all[Symbol.dispose]();
      if (readdirSync(sysDevices).includes(bdf)) throw new Error(`${bdf} has not gone`);
    },
  };
}
