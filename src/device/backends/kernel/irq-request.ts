// SET_IRQS of an open device, and what helps where it is refused.
import { VfioError } from "../../../ffi/errors.ts";
import { irqSetText, setIrqs, type IrqSetBuffer } from "../../../ffi/vfio-irqs.ts";
import { IrqIndex, type IrqInfo, type IrqRequest } from "../../../regs/vfio/irqs.ts";
import { deviceFolder } from "../../host/device-folder.ts";
import type { Sysroot } from "../../host/sysroot.ts";

/** An open device. */
interface Target {
  readonly fd: number;
  readonly bdf: string;
  readonly host: Sysroot;
  /** By index. */
  readonly irqs: readonly IrqInfo[];
}

/** @param buffer for as many vectors as the device has @throws VfioError as `KernelDevice.setIrqs` */
export function requestIrqs(device: Target, request: IrqRequest, buffer: IrqSetBuffer): void {
  const { fd, bdf, host } = device;
  checkVectors(device, request);
  const available = setIrqs(fd, request, buffer, {
    device: bdf,
    hint: (code) => irqHint(host, bdf, request, code),
  });
  if (available > 0)
    throw new VfioError(`${bdf}: ${irqSetText(request)} fails: the host has ${available} vectors left`, {
      code: "ENOSPC",
      errno: 28,
      syscall: "ioctl",
      request: irqSetText(request),
      device: bdf,
      hint: `Ask for at most ${available} vectors.`,
      available,
    });
}

/** The kernel's own check, whose EINVAL would not say which of many reasons it has. */
function checkVectors({ bdf, irqs }: Target, request: IrqRequest): void {
  const vectors = irqs[request.index]?.count ?? 0;
  const { start, data } = request;
  const count = data.kind === "none" ? data.count : (data.kind === "bool" ? data.values : data.fds).length;
  if (start < vectors && start + count <= vectors) return;
  throw new VfioError(`${bdf}: ${irqSetText(request)} fails with EINVAL: it has ${vectors} of these`, {
    code: "EINVAL",
    errno: 22,
    syscall: "ioctl",
    request: irqSetText(request),
    device: bdf,
    hint: "`irqs` says how many vectors of each kind a device has.",
  });
}

/** Why SET_IRQS is refused. @param index one of `IrqIndex` */
function irqHint(
  host: Sysroot,
  bdf: string,
  { index, action }: IrqRequest,
  code: string,
): string | undefined {
  switch (code) {
    case "EINVAL":
      return "Another kind of interrupt is on, of INTx, MSI and MSI-X: turn that off first. Or a descriptor is no eventfd, or nothing is set that could be triggered.";
    case "ENOSPC":
      return "The host has no vectors left.";
    case "EBADF":
      return "A descriptor is not open.";
    case "EBUSY":
      return index === IrqIndex.intx && action === "trigger"
        ? sharedLine(host, bdf)
        : "The unmask eventfd is set already: take it away first.";
    default:
      return undefined;
  }
}

/** Who has the interrupt line of a device that shares none. */
function sharedLine(host: Sysroot, bdf: string): string {
  const line = host.text(`${deviceFolder(bdf)}/irq`);
  // `16:  0  0  IR-IO-APIC   16-fasteoi   ahci[0000:00:1f.2], i801_smbus`
  const row = host.lines("/proc/interrupts").find((one) => one.trimStart().startsWith(`${line}:`));
  const users = /(?:edge|level|fasteoi)\s+(\S.*)$/.exec(row ?? "")?.[1];
  return (
    `Interrupt line ${line} is taken${users === undefined ? "" : ` by ${users}`}, and ${bdf} cannot share it: its own interrupts ` +
    "cannot be masked by DisINTx, or vfio-pci was loaded with nointxmask. Use MSI, or take the line from the other."
  );
}
