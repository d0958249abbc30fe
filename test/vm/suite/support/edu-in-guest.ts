// A driver of edu for a guest, which has no IOMMU: it raises interrupts one after the other, and hears them as MSI, then by the pin.
//
//   usage: bun edu-in-guest.ts BDF
//   output: a line for each kind, and one for whatever is not as it should be
import { IrqIndex, type IrqRequest } from "../../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../../src/regs/vfio/regions.ts";
import { openDevice } from "../../../../src/device/backends/kernel/open-device.ts";
import { Eventfd, waitReadable } from "../../../../src/ffi/eventfd.ts";
import { quieten } from "./edu.ts";

/** Its registers: what raises an interrupt, which ones are raised, what takes one back. */
const register = { raise: 0x60, status: 0x24, acknowledge: 0x64 } as const;
const times = 40;

using device = openDevice(process.argv[2]!, { api: "noiommu" });
quieten(device);
// Memory and bus mastering, INTx not disabled.
device.write(RegionIndex.config, 4, Uint8Array.of(6, 0));
using bar = device.map(0, { offset: 0, size: 0x1000 });
const { registers } = bar;

for (const [name, index] of [
  ["MSI", IrqIndex.msi],
  ["INTx", IrqIndex.intx],
] as const) {
  using trigger = new Eventfd();
  const request = (action: IrqRequest["action"], data: IrqRequest["data"]): void =>
    device.setIrqs({ index, action, start: 0, data });
  request("trigger", { kind: "eventfd", fds: [trigger.fd] });
  let heard = 0;
  for (let cause = 1; cause <= times; cause++) {
    registers.write32(register.raise, cause);
    if (!waitReadable(trigger.fd, 20_000)) console.log(`${name} ${cause} is lost`);
    else heard += trigger.drain();
    const status = registers.read32(register.status);
    if (status !== cause) console.log(`${name} ${cause} has the status ${status}`);
    registers.write32(register.acknowledge, cause);
    // The kernel has masked the line; a message has nothing to unmask.
    if (index === IrqIndex.intx) request("unmask", { kind: "none", count: 1 });
  }
  console.log(`${name}: ${heard} heard, then ${waitReadable(trigger.fd, 500) ? "more" : "nothing"}`);
  request("trigger", { kind: "none", count: 0 });
}
