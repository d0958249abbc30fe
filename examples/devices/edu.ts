// QEMU's edu device (docs/specs/edu.rst), register for register: its driver and its tests find no difference.
import { modelledDevice, type DeviceEnvironment, type ModelledDevice } from "bun-vfio";
import { r32, r64, registerMap, reset } from "bun-vfio/regs";
import { addressLimit, dmaDone, eduMap, ownMemory } from "../edu/registers.ts";

/** As the driver's map, but with all 64 bits of what is written about a transfer, of which 28 count. */
export const eduDeviceMap = registerMap("edu", 0xa0, {
  ...eduMap.entries,
  identification: reset(0x0100_00ed, eduMap.registers.identification),
  raise: r32(0x60, "rw"),
  dmaSource: r64(0x80, "rw"),
  dmaDestination: r64(0x88, "rw"),
  dmaBytes: r64(0x90, "rw"),
  dma: eduMap.registers.dma,
});

const barSize = 2 ** 20;
const allOnes = 0xffff_ffff;
const factorialDone = 1;
/** How long a transfer takes, in ms. */
const transferTime = 100;

/** n! modulo 2^32: 0 from 34 on, so that no number takes long. */
function factorial(n: number): number {
  let product = 1;
  for (let factor = n; factor > 0 && product !== 0; factor--) product = Math.imul(product, factor) >>> 0;
  return product;
}

/** Makes an edu device; the module that `serveDevice` runs in a thread. */
export const edu: (environment: DeviceEnvironment) => ModelledDevice = modelledDevice({
  ...{ name: "edu", vendorId: 0x1234, deviceId: 0x11e8, classCode: 0x00_ff00, revision: 0x10 },
  ...{ subsystemVendorId: 0x1af4, subsystemId: 0x1100 },
  intx: true,
  msi: { vectors: 1, maskable: false },
  bars: { 0: { map: eduDeviceMap, size: barSize } },
  create({ bars: { 0: registers }, memory, interrupts, after }) {
    let own = new Uint8Array(new ArrayBuffer(ownMemory.size));
    /** What is under way: one computation and one transfer at most. */
    let computation: Disposable | undefined;
    let motion: Disposable | undefined;

    const raise = (causes: number): void => {
      registers.set("causes", (registers.get("causes") | causes) >>> 0);
      if (registers.get("causes") !== 0 && !interrupts.send(0)) interrupts.setLine(true);
    };

    /** Where a transfer is in the device's own memory; undefined where it is not all inside. */
    const inside = (address: bigint, size: number): number | undefined => {
      const from = Number(address) - ownMemory.address;
      return from >= 0 && size <= own.length && from + size <= own.length ? from : undefined;
    };

    const transfer = (): void => {
      const { toMemory, interruptWhenDone } = registers.view.fields.dma;
      const size = Number(registers.get("dmaBytes"));
      const [source, destination] = [registers.get("dmaSource"), registers.get("dmaDestination")];
      const at = inside(toMemory ? source : destination, size);
      const iova = Number((toMemory ? destination : source) % BigInt(addressLimit));
      // Past its own memory it moves nothing.
      if (at !== undefined)
        try {
          if (toMemory) memory.write(iova, own.subarray(at, at + size));
          else memory.read(iova, own.subarray(at, at + size));
        } catch {
          // The bus drops what reaches no memory: the device does not hear of it.
        }
      motion = undefined;
      registers.set("dma.run", false);
      if (interruptWhenDone) raise(dmaDone);
    };

    const compute = (value: number): void => {
      registers.set("status.computing", true);
      computation = after(0, () => {
        registers.set("factorial", factorial(value));
        registers.set("status.computing", false);
        if (registers.get("status.interruptWhenDone")) raise(factorialDone);
      });
    };

    /** While a transfer is under way its registers are not to be written. */
    const keep = (name: "dmaSource" | "dmaDestination" | "dmaBytes") => ({
      write: (_: bigint, before: bigint) => void (motion && registers.set(name, before)),
    });

    return {
      bars: {
        0: {
          liveness: { write: (value) => registers.set("liveness", ~value >>> 0) },
          factorial: {
            write(value, before) {
              if (registers.get("status.computing")) return registers.set("factorial", before);
              compute(value);
            },
          },
          raise: { read: () => registers.set("raise", allOnes), write: (causes) => raise(causes) },
          acknowledge: {
            read: () => registers.set("acknowledge", allOnes),
            write(causes) {
              registers.set("causes", (registers.get("causes") & ~causes) >>> 0);
              if (registers.get("causes") === 0) interrupts.setLine(false);
            },
          },
          dmaSource: keep("dmaSource"),
          dmaDestination: keep("dmaDestination"),
          dmaBytes: keep("dmaBytes"),
          dma: {
            write({ run }, before) {
              if (motion) return registers.set("dma", before.raw);
              if (run) motion = after(transferTime, transfer);
            },
          },
          // What is not implemented reads all ones, as QEMU has it.
          rest: { read: (_, data) => void data.fill(0xff) },
        },
      },
      reset() {
        for (const one of [computation, motion]) one?.[Symbol.dispose]();
        motion = undefined;
        own.fill(0);
      },
      save: () => ({ own: own.toHex(), transferring: motion !== undefined }),
      restore(state) {
        const saved = (state ?? {}) as { own?: unknown; transferring?: unknown };
        if (typeof saved.own !== "string" || !/^[0-9a-f]{8192}$/.test(saved.own))
          throw new RangeError("no edu's state");
        own = Uint8Array.fromHex(saved.own) as Uint8Array<ArrayBuffer>;
        // What was under way begins again.
        if (saved.transferring === true) motion = after(transferTime, transfer);
        if (registers.get("status.computing")) compute(registers.get("factorial"));
      },
    };
  },
});

export default edu;
