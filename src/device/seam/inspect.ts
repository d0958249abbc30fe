// What a device or a platform is, in one line, where it is printed: by `console.log`, a debugger, a test that failed.
import { inspectCustom } from "../../regs/inspect.ts";
import { irqName } from "../../regs/vfio/irqs.ts";
import { regionName } from "../../regs/vfio/regions.ts";
import { bytesText } from "../address/size-text.ts";
import type { DeviceBackend } from "./backend.ts";

/** A backend that prints as one line: its name, regions with their sizes, interrupts with their vectors. */
export abstract class InspectableBackend {
  /** For messages. */
  abstract readonly name: DeviceBackend["name"];
  /** By region index, with no gap: an absent region has size 0. */
  abstract readonly regions: DeviceBackend["regions"];
  /** By interrupt index, with no gap: an absent one has count 0. */
  abstract readonly irqs: DeviceBackend["irqs"];

  /** As `RecordedDevice 0000:01:00.0 (BAR0 16 KiB, CONFIG 4 KiB; INTX 1, MSIX 65)`. */
  [inspectCustom](): string {
    const regions = this.regions
      .filter(({ size }) => size > 0)
      .map(({ index, size }) => `${regionName(index)} ${bytesText(size)}`);
    const irqs = this.irqs
      .filter(({ count }) => count > 0)
      .map(({ index, count }) => `${irqName(index)} ${count}`);
    const facts = [regions.join(", "), irqs.join(", ")].filter((text) => text !== "").join("; ");
    return `${this.constructor.name} ${this.name} (${facts})`;
  }
}
