import type { DmaMapping, TrappedRange } from "../../seam/platform.ts";
import { formatRange, intersects, type Range } from "../../address/range.ts";
import type { Route } from "./irqchip.ts";
import type { LineState } from "./line.ts";
import type { SlotState } from "./slots.ts";

/** Everything that the platform holds now, as plain data, each list in ascending order. */
export interface MemoryPlatformState {
  /** Memory that the guest reaches. */
  readonly slots: readonly SlotState[];
  /** The interrupt routing table. */
  readonly routes: readonly Route[];
  /** Eventfds that go to the guest. */
  readonly irqfds: readonly { readonly group: number; readonly vector: number }[];
  /** Lines, those that are disconnected too. */
  readonly intx: readonly LineState[];
  /** What peers reach. */
  readonly dma: readonly DmaMapping[];
  /** Ranges whose accesses go to a device. */
  readonly trapped: readonly TrappedRange[];
  /** Rests of pages that slots show beside BARs smaller than a page. */
  readonly kept: readonly Range[];
  /** What of the windows is taken. */
  readonly addresses: {
    readonly mmio32: readonly Range[];
    readonly mmio64: readonly Range[];
    readonly io: readonly Range[];
  };
}

interface OpenGroup {
  readonly group: number;
  readonly count: number;
  readonly eventfds: number;
}

const slotLine = ({ slot, gpa, size }: SlotState): string =>
  `memory slot ${slot}: ${formatRange({ base: gpa, size })}`;
const dmaLine = ({ iova, size }: DmaMapping): string => `DMA mapping: ${formatRange({ base: iova, size })}`;

/** Says in words what shows a range of host memory, one line each. */
export function usersOf({ slots, dma }: Pick<MemoryPlatformState, "slots" | "dma">, host: Range): string[] {
  const shows = ({ hva, size }: { hva: number; size: number }): boolean =>
    intersects(host, { base: hva, size });
  return [...slots.filter(shows).map(slotLine), ...dma.filter(shows).map(dmaLine)];
}

/** Says in words what a state holds, one line each. */
export function heldBy(state: MemoryPlatformState, groups: readonly OpenGroup[]): string[] {
  const { addresses } = state;
  return [
    ...state.slots.map(slotLine),
    ...groups.map(
      ({ group, count, eventfds }) => `MSI group ${group}: ${count} vectors, ${eventfds} eventfds`,
    ),
    ...state.routes.map(({ group, vector }) => `route: group ${group} vector ${vector}`),
    ...state.irqfds.map(({ group, vector }) => `irqfd: group ${group} vector ${vector}`),
    ...state.intx.map(({ line, pin }) => `INTx line ${line}: INT${"ABCD"[pin - 1]}`),
    ...state.dma.map(dmaLine),
    ...state.trapped.map(
      (range) => `trapped ${range.kind} range: ${formatRange(range)} (region ${range.region})`,
    ),
    ...state.kept.map((range) => `kept free: ${formatRange(range)}`),
    ...(["mmio32", "mmio64", "io"] as const).flatMap((space) =>
      addresses[space].map((range) => `${space} address: ${formatRange(range)}`),
    ),
  ];
}
