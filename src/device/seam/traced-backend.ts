// A backend around another that tells a tracer of each call, with its result or its failure.
import type { IrqRequest } from "../../regs/vfio/irqs.ts";
import type { RegionArea } from "../../regs/vfio/regions.ts";
import type { DeviceBackend, RegionMapping } from "./backend.ts";
import { irqActions, littleEndian, TraceKind, type Tracer } from "./trace.ts";
import { messageOf } from "../../regs/message-of.ts";

/** Tells `trace` of what failed and throws it again. */
export function traced<T>(trace: Tracer, kind: number, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    trace.record(TraceKind.failed, kind, 0, 0, 0, 0, messageOf(cause));
    throw cause;
  }
}

export class TracedBackend implements DeviceBackend {
  readonly #inner: DeviceBackend;
  readonly #trace: Tracer;
  readonly name: string;
  readonly resettable: boolean;
  readonly regions: DeviceBackend["regions"];
  readonly irqs: DeviceBackend["irqs"];
  readonly ownState: DeviceBackend["ownState"];

  /** Tells `trace` of what goes to `inner`, which is closed with it. */
  constructor(inner: DeviceBackend, trace: Tracer) {
    this.#inner = inner;
    this.#trace = trace;
    ({ name: this.name, resettable: this.resettable, regions: this.regions, irqs: this.irqs } = inner);
    this.ownState = inner.ownState;
  }

  read(region: number, offset: number, data: Uint8Array): void {
    traced(this.#trace, TraceKind.deviceRead, () => this.#inner.read(region, offset, data));
    this.#trace.record(
      TraceKind.deviceRead,
      region,
      offset,
      data.length,
      littleEndian(data),
      littleEndian(data, 4),
    );
  }
  write(region: number, offset: number, data: Uint8Array): void {
    this.#trace.record(
      TraceKind.deviceWrite,
      region,
      offset,
      data.length,
      littleEndian(data),
      littleEndian(data, 4),
    );
    traced(this.#trace, TraceKind.deviceWrite, () => this.#inner.write(region, offset, data));
  }
  map(region: number, area: RegionArea): RegionMapping {
    this.#trace.record(TraceKind.deviceMap, region, area.offset, area.size, 0, 0);
    return traced(this.#trace, TraceKind.deviceMap, () => this.#inner.map(region, area));
  }
  setIrqs(request: IrqRequest): void {
    const { index, action, start, data } = request;
    const count =
      data.kind === "none" ? data.count : data.kind === "bool" ? data.values.length : data.fds.length;
    const eventfds = data.kind === "eventfd" ? data.fds.filter((fd) => fd !== -1).length : 0;
    this.#trace.record(TraceKind.deviceIrqs, index, irqActions.indexOf(action), start, count, eventfds);
    traced(this.#trace, TraceKind.deviceIrqs, () => this.#inner.setIrqs(request));
  }
  reset(): void {
    this.#trace.record(TraceKind.deviceReset, 0, 0, 0, 0, 0);
    traced(this.#trace, TraceKind.deviceReset, () => this.#inner.reset());
  }
  probeFeature(feature: number): ReturnType<DeviceBackend["probeFeature"]> {
    return this.#inner.probeFeature(feature);
  }
  /** Closes the backend within. */
  [Symbol.dispose](): void {
    this.#inner[Symbol.dispose]();
  }
}
