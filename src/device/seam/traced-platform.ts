// A platform around another that tells a tracer of each action that changes something.
import type {
  AddressAllocator,
  AddressWindows,
  Dma,
  GuestBus,
  Interrupts,
  IntxLine,
  MemorySlots,
  MsiGroup,
  Platform,
  TrappedRange,
} from "./platform.ts";
import { traced } from "./traced-backend.ts";
import { lineKinds, TraceKind, type Tracer } from "./trace.ts";

const memoryOf = (inner: MemorySlots, trace: Tracer): MemorySlots => ({
  add(request) {
    const slot = traced(trace, TraceKind.slotAdd, () => inner.add(request));
    trace.record(TraceKind.slotAdd, slot, request.gpa, request.size, Number(request.readOnly), 0);
    return slot;
  },
  remove(slot) {
    traced(trace, TraceKind.slotRemove, () => inner.remove(slot));
    trace.record(TraceKind.slotRemove, slot, 0, 0, 0, 0);
  },
});

function busOf(inner: GuestBus, trace: Tracer): GuestBus {
  const tell = (kind: number, { kind: space, base, size, region }: TrappedRange): void =>
    trace.record(kind, space === "io" ? 1 : 0, base, size, region, 0);
  return {
    insert(range) {
      traced(trace, TraceKind.busInsert, () => inner.insert(range));
      tell(TraceKind.busInsert, range);
    },
    remove(range) {
      traced(trace, TraceKind.busRemove, () => inner.remove(range));
      tell(TraceKind.busRemove, range);
    },
    keepFree:
      inner.keepFree &&
      (({ base, size }, giveWay) => {
        const asked = (): boolean => {
          trace.record(TraceKind.giveWay, base, size, 0, 0, 0);
          return giveWay();
        };
        const kept = traced(trace, TraceKind.keepFree, () => inner.keepFree!({ base, size }, asked));
        trace.record(TraceKind.keepFree, base, size, Number(kept !== undefined), 0, 0);
        return kept;
      }),
  };
}

const dmaOf = (inner: Dma, trace: Tracer): Dma => ({
  map(mapping) {
    traced(trace, TraceKind.dmaMap, () => inner.map(mapping));
    trace.record(TraceKind.dmaMap, mapping.iova, mapping.size, Number(mapping.writable), 0, 0);
  },
  unmap(iova, size) {
    traced(trace, TraceKind.dmaUnmap, () => inner.unmap(iova, size));
    trace.record(TraceKind.dmaUnmap, iova, size, 0, 0, 0);
  },
});

const groupOf = (inner: MsiGroup, trace: Tracer): MsiGroup => ({
  eventfd: (vector) => inner.eventfd(vector),
  update(changes) {
    traced(trace, TraceKind.route, () => inner.update(changes));
    for (const { vector, message } of changes)
      if (message)
        trace.record(TraceKind.route, vector, message.addressLow, message.addressHigh, message.data, 0);
      else trace.record(TraceKind.withdraw, vector, 0, 0, 0, 0);
  },
  pending(vector) {
    const waits = traced(trace, TraceKind.pending, () => inner.pending(vector));
    trace.record(TraceKind.pending, vector, Number(waits), 0, 0, 0);
    return waits;
  },
  release: (vector) => inner.release?.(vector),
  discard: (vector) => inner.discard(vector),
  signal: (vector) => inner.signal(vector),
  [Symbol.dispose]: () => inner[Symbol.dispose](),
});

const lineOf = (inner: IntxLine, trace: Tracer): IntxLine => ({
  eventfd: inner.eventfd,
  resample: inner.resample,
  notifiesEndOfInterrupt: inner.notifiesEndOfInterrupt,
  connect() {
    traced(trace, TraceKind.intx, () => inner.connect());
    trace.record(TraceKind.intx, 1, 0, 0, 0, 0);
  },
  disconnect() {
    traced(trace, TraceKind.intx, () => inner.disconnect());
    trace.record(TraceKind.intx, 0, 0, 0, 0, 0);
  },
  [Symbol.dispose]: () => inner[Symbol.dispose](),
});

function lineKind(line: IntxLine | undefined): (typeof lineKinds)[number] {
  if (line === undefined) return "none";
  if (line.resample !== undefined) return "resample";
  return line.notifiesEndOfInterrupt ? "notified" : "access";
}

const windowOf = (inner: AddressAllocator, window: number, trace: Tracer): AddressAllocator => ({
  base: inner.base,
  size: inner.size,
  allocate(size, alignment) {
    const base = traced(trace, TraceKind.allocate, () => inner.allocate(size, alignment));
    trace.record(TraceKind.allocate, window, size, alignment, Number(base !== undefined), base ?? 0);
    return base;
  },
  reserve(base, size) {
    const taken = traced(trace, TraceKind.reserve, () => inner.reserve(base, size));
    trace.record(TraceKind.reserve, window, base, size, Number(taken), 0);
    return taken;
  },
  free(base, size) {
    traced(trace, TraceKind.release, () => inner.free(base, size));
    trace.record(TraceKind.release, window, base, size, 0, 0);
  },
});

const addressesOf = ({ mmio32, mmio64, io }: AddressWindows, trace: Tracer): AddressWindows => ({
  mmio32: windowOf(mmio32, 0, trace),
  mmio64: windowOf(mmio64, 1, trace),
  io: io && windowOf(io, 2, trace),
});

const interruptsOf = (inner: Interrupts, trace: Tracer): Interrupts => ({
  createMsiGroup(vectors) {
    const group = traced(trace, TraceKind.msiGroup, () => inner.createMsiGroup(vectors));
    trace.record(TraceKind.msiGroup, vectors, 0, 0, 0, 0);
    return groupOf(group, trace);
  },
  createIntx(pin) {
    const line = traced(trace, TraceKind.intxLine, () => inner.createIntx(pin));
    trace.record(TraceKind.intxLine, pin, lineKinds.indexOf(lineKind(line)), 0, 0, 0);
    return line && lineOf(line, trace);
  },
});

/** The platform with everything that it does for a device told to `trace`. */
export const tracedPlatform = (inner: Platform, trace: Tracer): Platform => ({
  pageSize: inner.pageSize,
  memory: memoryOf(inner.memory, trace),
  interrupts: interruptsOf(inner.interrupts, trace),
  addresses: addressesOf(inner.addresses, trace),
  bus: busOf(inner.bus, trace),
  dma: inner.dma && dmaOf(inner.dma, trace),
});
