// A device that comes back: what its guest had set up is set up again, as far as a device that was reset takes it.
import { endpointHeader } from "../../../regs/maps/header.ts";
import { RegionIndex } from "../../../regs/vfio/regions.ts";
import type { IommuMapping } from "../../seam/iommu.ts";
import type { Capabilities } from "../messages/version.ts";
import { sendMap } from "./iommu.ts";
import { HeldIrqs, sendIrqs } from "./irq-requests.ts";
import type { Link } from "./link.ts";
import type { RegionAccess } from "./region-access.ts";

/** A link that has agreed with its server. */
export interface Connected {
  readonly link: Link;
  readonly server: Capabilities;
}

/** How long to try; in milliseconds. */
interface Patience {
  readonly interval?: number;
  readonly limit?: number;
}

const defaultInterval = 500;
const defaultLimit = 60_000;

const command = endpointHeader.register("command");
const firstBar = endpointHeader.register("bar0").at;
const behindBars = endpointHeader.register("cardbusCisPointer").at;
/** Registers that are written again: COMMAND last, so that BARs have their addresses when decoding begins. */
const replayed = [
  { offset: firstBar, size: behindBars - firstBar },
  { offset: command.at, size: command.size },
];

/** Tries to connect again, and remembers what to set up then. `dispose` ends both. */
export class Reconnection implements Disposable {
  readonly irqs = new HeldIrqs();
  readonly #interval: number;
  readonly #limit: number;
  readonly #attempt: () => void;
  /** Bytes that were written to config space, by offset. */
  readonly #written = new Map<number, number>();
  #timer: Timer | undefined;

  /** @param attempt connects, and goes on with that; throws where that fails */
  constructor({ interval = defaultInterval, limit = defaultLimit }: Patience, attempt: () => void) {
    this.#interval = interval;
    this.#limit = limit;
    this.#attempt = attempt;
  }

  /** Begins to try, on the event loop; the process does not live on for it. */
  start(): void {
    const end = performance.now() + this.#limit;
    const again = (): void => {
      this.#timer = setTimeout(() => {
        try {
          this.#attempt();
        } catch {
          // Not there yet, or not the same device: until the time is over.
          if (performance.now() < end) again();
        }
      }, this.#interval);
      this.#timer.unref();
    };
    again();
  }

  /** Takes note of a write to config space. */
  noteWrite(offset: number, data: Uint8Array): void {
    for (const { offset: from, size } of replayed)
      for (let at = Math.max(from, offset); at < Math.min(from + size, offset + data.length); at++)
        this.#written.set(at, data[at - offset]!);
  }

  /** Sets up what was set up. @throws VfioError where the device does not take it */
  replay({ link, server }: Connected, mappings: readonly IommuMapping[], access: RegionAccess): void {
    for (const mapping of mappings) sendMap(link, mapping);
    for (const { offset, size } of replayed) this.#replayConfig(access, offset, size);
    for (const request of this.irqs.requests) sendIrqs(link, request, server.maxMessageFds);
  }

  #replayConfig(access: RegionAccess, offset: number, size: number): void {
    // Whole dwords or words, as a guest writes them: with what is there for bytes that were not written.
    const width = Math.min(4, size);
    for (let at = offset; at < offset + size; at += width) {
      const bytes = Array.from({ length: width }, (_, i) => this.#written.get(at + i));
      if (bytes.every((byte) => byte === undefined)) continue;
      const data = new Uint8Array(width);
      access.read(RegionIndex.config, at, data);
      bytes.forEach((byte, i) => (data[i] = byte ?? data[i]!));
      access.write(RegionIndex.config, at, data, false);
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.irqs[Symbol.dispose]();
  }
}
