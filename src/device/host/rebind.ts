// Functions get other drivers, all of them or none.
import { VfioError } from "../../ffi/errors.ts";
import {
  attributeWriter,
  bindingWrites,
  readBinding,
  restoreBinding,
  type Binding,
  type Rebinding,
  type WantedBinding,
  type WriteAttribute,
} from "./binding.ts";
import type { Sysroot } from "./sysroot.ts";
import { rebindRefusals } from "./rebind-refusals.ts";
import { messageOf } from "../../regs/message-of.ts";

/** How to change drivers. All of it is optional. */
export interface RebindOptions {
  /** Does the writes; `attributeWriter` of the host without it. */
  readonly write?: WriteAttribute | undefined;
  /** Does also what `rebindRefusals` speaks against, but for a bridge, which no VFIO driver takes. */
  readonly force?: boolean | undefined;
}

/**
 * Brings functions to other drivers, all of them or none: what was done is undone when one fails.
 * @throws VfioError (`EBUSY`) before anything is changed for what `rebindRefusals` speaks against; later with the code
 * of the write or the driver that failed, and a message that tells what could not be undone
 */
export function rebind(
  files: Sysroot,
  rebindings: readonly Rebinding[],
  { write = attributeWriter(files), force = false }: RebindOptions = {},
): void {
  refuse(files, rebindings, force);
  const touched: Binding[] = [];
  try {
    for (const { now, wanted } of rebindings) {
      const writes = bindingWrites(now, wanted);
      if (writes.length > 0) touched.push(now);
      for (const one of writes) write(one, now.bdf);
      checkBinding(readBinding(files, now.bdf), wanted);
    }
  } catch (error) {
    const failed = undo(files, touched, write);
    const after =
      failed.length > 0
        ? `; could not be taken back: ${failed.join("; ")}`
        : touched.length > 0
          ? "; everything was taken back"
          : "";
    throw withMore(error, after);
  }
}

function refuse(files: Sysroot, rebindings: readonly Rebinding[], force: boolean): void {
  const [first] = rebindRefusals(files, rebindings).filter(({ kind }) => !force || kind === "bridge");
  if (first === undefined) return;
  const { bdf, reason, remedy } = first;
  const hint = remedy && `${remedy[0]!.toUpperCase()}${remedy.slice(1)}.`;
  throw new VfioError(`${bdf} keeps its driver: ${reason}`, { code: "EBUSY", device: bdf, hint });
}

/** An error with more of a message, and the code that it had. */
function withMore(error: unknown, more: string): unknown {
  if (!(error instanceof Error) || more === "") return error;
  if (!(error instanceof VfioError)) {
    error.message += more;
    return error;
  }
  const { message, code, errno, syscall, request, device, hint } = error;
  return new VfioError(`${message}${more}`, { code, errno, syscall, request, device, hint, cause: error });
}

function checkBinding({ bdf, driver }: Binding, { driver: wanted }: WantedBinding): void {
  if (wanted === undefined || (driver ?? null) === wanted) return;
  const is = driver === undefined ? "has no driver" : `is bound to ${driver}`;
  const should = wanted === null ? "have none" : `be bound to ${wanted}`;
  throw new VfioError(`${bdf} ${is} after it should ${should}`, {
    code: "ENODEV",
    device: bdf,
    hint: wanted === null ? undefined : `${wanted} refused it: the kernel's log tells why.`,
  });
}

/** The last first. @returns what failed */
function undo(files: Sysroot, touched: readonly Binding[], write: WriteAttribute): string[] {
  const failed: string[] = [];
  for (const before of touched.toReversed())
    try {
      const wanted = restoreBinding(before);
      for (const one of bindingWrites(readBinding(files, before.bdf), wanted)) write(one, before.bdf);
      checkBinding(readBinding(files, before.bdf), wanted);
    } catch (error) {
      failed.push(messageOf(error));
    }
  return failed;
}
