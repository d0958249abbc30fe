// What the guest finds in config space without having written it: where the model puts something there, a trace tells it.
import type { ConfigOffset } from "../../pci/config-offset.ts";
import { TraceKind, type Tracer } from "../../seam/trace.ts";

/** Tells what the dwords of a range hold now. `size` in bytes. */
export type TellConfig = (offset: ConfigOffset, size: number) => void;

/** @param view what the guest reads */
export const configTeller =
  (trace: Tracer | undefined, view: DataView): TellConfig =>
  (offset, size) => {
    if (trace === undefined) return;
    for (let at = offset & ~3; at < offset + size; at += 4)
      trace.record(TraceKind.configBecomes, at, 4, view.getUint32(at, true), 0, 0);
  };
