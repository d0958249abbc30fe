// A device written in TypeScript: its register maps, with handlers for what their access words cannot say.
import { VfioError } from "../../../ffi/errors.ts";
import { msixTableEntry } from "../../../regs/index.ts";
import { HostedFunction } from "../../function/hosted-function.ts";
import type { OwnState } from "../../seam/backend.ts";
import type { DeviceEnvironment, DeviceMemory } from "../../seam/device-memory.ts";
import { barSize, barsIn, modelImage } from "./config-image.ts";
import type {
  BarHandlers,
  ModelBars,
  ModelBehaviour,
  ModelContext,
  ModelDescription,
} from "./description.ts";
import type { Entries } from "../../../regs/entries.ts";
import type { RegisterMap } from "../../../regs/map.ts";
import { watchedRegisters } from "./handlers.ts";
import { ModelInterrupts } from "./interrupts.ts";
import { ModelSpaces, type MemoryHole } from "./model-spaces.ts";
import { RegisterBank } from "./register-bank.ts";

/** A modelled device: a backend like any other. Whoever made it, or who attached it, disposes of it. */
export class ModelledDevice extends HostedFunction {
  readonly #banks: ReadonlyMap<number, RegisterBank>;
  readonly #behaviour: ModelBehaviour<ModelBars>;

  /** @internal `modelledDevice` makes it. */
  constructor(description: ModelDescription<ModelBars>, environment: DeviceEnvironment) {
    const banks = new Map(
      barsIn(description.bars).map(([index, bar]) => [
        index,
        new RegisterBank(bar.map as RegisterMap<Entries>),
      ]),
    );
    const spaces = new ModelSpaces(description.name, banks, holesOf(description));
    super(modelImage(description), spaces);
    this.#banks = banks;
    const context = this.#context(environment);
    this.#behaviour = description.create?.(context) ?? {};
    const handlers = Object.entries(this.#behaviour.bars ?? {}) as [string, BarHandlers<Entries>][];
    for (const [index, of] of handlers) {
      const bank = banks.get(Number(index));
      if (!bank) throw new TypeError(`${description.name} has no BAR${index} to handle`);
      bank.watch(watchedRegisters(bank, of));
    }
    spaces.rest = new Map(handlers.flatMap(([index, { rest }]) => (rest ? [[Number(index), rest]] : [])));
    const { accessed } = this.#behaviour;
    if (accessed) spaces.onAccess = () => accessed.call(this.#behaviour);
    spaces.onRestart = () => this.#behaviour.reset?.();
    spaces.onClose = () => this.#behaviour.close?.();
  }

  #context(environment: DeviceEnvironment): ModelContext<ModelBars> {
    const device = this;
    return {
      bars: Object.fromEntries(this.#banks) as never,
      memory: busMasterMemory(environment.memory, this),
      interrupts: new ModelInterrupts(() => device),
      get busMaster() {
        return device.busMaster;
      },
      after: (milliseconds, callback) => environment.after(milliseconds, callback),
      watch: (fd, callback) => environment.watch(fd, callback),
    };
  }

  /** Registers and what the behaviour saves. */
  readonly ownState: OwnState = {
    save: () => ({
      bars: Object.fromEntries([...this.#banks].map(([index, bank]) => [index, bank.save()])),
      own: this.#behaviour.save?.() ?? null,
    }),
    restore: (state) => {
      const { bars, own } = (state ?? {}) as { bars?: Record<string, unknown>; own?: unknown };
      for (const [index, bank] of this.#banks) bank.restore(bars?.[index]);
      this.#behaviour.restore?.(own ?? null);
    },
  };
}

/** MSI-X table and pending bits, as plain memory of their BAR. @throws RangeError where they do not fit */
function holesOf({ bars, msix }: ModelDescription<ModelBars>): MemoryHole[] {
  if (!msix) return [];
  const { vectors, bar: region, table, pba } = msix;
  const bar = barsIn(bars).find(([index]) => index === region)?.[1];
  if (!Number.isInteger(vectors) || vectors < 1 || vectors > 2048)
    throw new RangeError(`"msix.vectors" must be an integer from 1 to 2048, not ${vectors}`);
  if (!bar || bar.kind === "io") throw new RangeError(`"msix.bar" must be a memory BAR, not ${region}`);
  const size = barSize(String(region), bar);
  const holes = [
    { name: "table", offset: table, length: vectors * msixTableEntry.size },
    { name: "pba", offset: pba, length: 8 * Math.ceil(vectors / 64) },
  ];
  for (const { name, offset, length } of holes) {
    if (!Number.isInteger(offset) || offset % 8 !== 0 || offset < 0 || offset + length > size)
      throw new RangeError(
        `"msix.${name}" must be a multiple of 8 with ${length} bytes in BAR${region}, not ${offset}`,
      );
    for (const one of Object.values(bar.map.registers))
      if (one.at < offset + length && offset < one.at + one.width / 8)
        throw new RangeError(`"msix.${name}" at ${offset} overlaps registers of ${bar.map.name}`);
  }
  return holes.map(({ offset, length }) => ({ region, offset, bytes: new Uint8Array(length) }));
}

/** Memory that only a function with bus mastering on reaches. */
function busMasterMemory(memory: DeviceMemory, device: HostedFunction): DeviceMemory {
  const reach = (): DeviceMemory => {
    if (device.busMaster) return memory;
    throw new VfioError(`${device.name}: bus mastering is off: its access to memory reaches nobody`, {
      code: "EACCES",
      device: device.name,
    });
  };
  return {
    read: (iova, into) => reach().read(iova, into),
    write: (iova, from) => reach().write(iova, from),
    address: (iova, size, access) => reach().address(iova, size, access),
    view: (iova, size, access) => reach().view(iova, size, access),
    onUnmap: (listener) => memory.onUnmap(listener),
  };
}

/**
 * Describes a device once; each call of what it returns makes one, in an environment: a vfio-user server's (`serveDevice`), a
 * virtual machine's, or a test's (`LocalEnvironment`).
 * @throws RangeError or TypeError, when a device is made, for a description that makes no PCI device
 */
export function modelledDevice<const B extends ModelBars>(
  description: ModelDescription<B>,
): (environment: DeviceEnvironment) => ModelledDevice {
  return (environment) => new ModelledDevice(description as never, environment);
}
