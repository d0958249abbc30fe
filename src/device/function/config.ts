import { readsAllOnes } from "../../regs/answers.ts";
import { IrqIndex } from "../../regs/vfio/irqs.ts";
import {
  capabilityId,
  msi32,
  msi32Masked,
  msi64Masked,
  msixCapability,
  powerManagementCapability,
  standardStart,
  vpdCapability,
  type RegisterReference,
} from "../../regs/index.ts";
import type { Bar } from "../pci/bars.ts";
import { BarBits } from "./bar-bits.ts";
import type { ConfigEffects } from "./config-effects.ts";
import { offsetOf, startOf, type ConfigOffset, type Located } from "../pci/config-offset.ts";
import {
  busMaster,
  command,
  interruptDisable,
  interruptPin,
  ioSpace,
  memorySpace,
} from "../pci/header-registers.ts";
import type { FunctionHardware } from "./hardware.ts";
import {
  capabilityOf,
  headerOwner,
  ofVirtualFunction,
  permissionMap,
  type PermissionMap,
} from "./permission-map.ts";
import { FunctionPower } from "./power.ts";
import {
  address64Bit,
  d3hot,
  deviceControl,
  functionMask,
  functionReset,
  initiateReset,
  maxPayload,
  maxReadRequest,
  msiControl,
  msiCount,
  msiEnable,
  msixEnable,
  perVectorMasking,
  powerState,
  resetCapable,
  resetSupport,
} from "./registers.ts";

/** 128 to 4096 bytes; what is above is reserved. */
const maxSize = Math.max(...Object.values(maxReadRequest.field.values!).flat());
const maxMsiExponent = Math.max(...Object.values(msiCount.field.values!).flat()); // of 32 vectors
const vpdFlag = vpdCapability.field("address.flag");
const msiData = msi32.register("data");
const vpdData = vpdCapability.register("data");

/** Config space as vfio-pci shows a device: bits of its own over bits of the hardware. */
export class FunctionConfig {
  readonly #hardware: FunctionHardware;
  readonly #effects: ConfigEffects;
  readonly #map: PermissionMap;
  readonly #values: Uint8Array;
  /** The same, and the hardware's registers, for register maps. */
  readonly #view: DataView;
  readonly #registers: DataView;
  readonly #bars: BarBits;
  /** A function whose IDs read all ones is a virtual one, without enable bits of its own. */
  readonly #isVirtualFunction: boolean;
  readonly #msi: Located | undefined;
  readonly #msix: Located | undefined;
  /** The kind of interrupt that is on, and for MSI the exponent of its vectors as of the last time. */
  #mode: number | undefined;
  #msiVectors = 0;
  readonly #power: FunctionPower;

  /** @param hasIntx whether it has an interrupt pin */
  constructor(hardware: FunctionHardware, bars: readonly Bar[], hasIntx: boolean, effects: ConfigEffects) {
    this.#hardware = hardware;
    this.#effects = effects;
    const map = permissionMap(hardware.config);
    this.#values = map.values;
    this.#view = new DataView(map.values.buffer);
    this.#registers = new DataView(hardware.config.buffer);
    this.#isVirtualFunction = readsAllOnes(this.#values.subarray(0, offsetOf(command)));
    this.#map = this.#isVirtualFunction ? ofVirtualFunction(map) : map;
    if (this.#isVirtualFunction) memorySpace.write(this.#view, true);
    if (!hasIntx) interruptPin.write(this.#view, 0);
    this.#msi = capabilityOf(map, capabilityId.msi, msiData.at + msiData.size);
    this.#msix = capabilityOf(map, capabilityId.msix, msixCapability.size);
    this.#power = new FunctionPower(
      hardware,
      capabilityOf(map, capabilityId.powerManagement, powerManagementCapability.size),
    );
    this.#bars = new BarBits(bars);
  }

  /** Memory BARs answer: memory enable as the user wrote it, and not in D3hot. */
  get memoryEnabled(): boolean {
    return (this.#isVirtualFunction || memorySpace.read(this.#view)) && this.#power.state < d3hot;
  }
  /** The device answers at its I/O ports: nobody but the device itself looks at this bit. */
  get ioEnabled(): boolean {
    return ioSpace.read(this.#registers);
  }
  /** The device may do DMA and send messages. */
  get busMasterEnabled(): boolean {
    return busMaster.read(this.#registers);
  }
  get interruptDisabled(): boolean {
    return interruptDisable.read(this.#view);
  }

  /** The range must lie inside. */
  read(offset: number, data: Uint8Array): void {
    if (offset < standardStart) this.#bars.fix(this.#values);
    const { config } = this.#hardware;
    const { virtual } = this.#map;
    const end = offset + data.length;
    const known = Math.min(end, virtual.length);
    for (let at = offset; at < known; at++) {
      const own = virtual[at]!;
      data[at - offset] = (config[at]! & ~own) | (this.#values[at]! & own);
    }
    const rest = Math.max(offset, known);
    if (rest < end) data.set(config.subarray(rest, end), rest - offset);
  }

  /** Splits a write as the kernel does: naturally aligned parts of 4, 2 or 1 bytes inside of one capability. */
  write(offset: number, data: Uint8Array): void {
    const { owner } = this.#map;
    for (let done = 0; done < data.length;) {
      const at = offset + done;
      let room = 1;
      while (room < 4 - (at & 3) && room < data.length - done && owner[at + room] === owner[at]) room++;
      const width = room >= 4 ? 4 : room >= 2 && (at & 1) === 0 ? 2 : 1;
      this.#writePart(at, data.subarray(done, done + width));
      done += width;
    }
  }

  #writePart(offset: number, data: Uint8Array): void {
    const at = startOf({ offset });
    const capability = { offset: this.#map.start[offset]! };
    const owner = this.#map.owner[offset];
    const isExpress = owner === capabilityId.express && this.#has(capability, deviceControl);
    const before = isExpress ? deviceControl.read(this.#view, capability.offset) : 0;
    this.#store(at, data);
    switch (owner) {
      case headerOwner:
        return this.#headerWritten(at, data);
      case capabilityId.powerManagement:
        return at === offsetOf(powerState.register, capability)
          ? this.#power.enter(capability, powerState.bits(data[0]!))
          : undefined;
      case capabilityId.vpd: {
        const flag = capability.offset + vpdFlag.byte.at;
        if (at <= flag && at + data.length > flag && this.#has(capability, vpdFlag.register))
          this.#transferVpd(capability);
        return;
      }
      case capabilityId.msi: {
        const flags = offsetOf(msiControl, capability);
        const isWritten = at <= flags && at + data.length >= flags;
        if (isWritten && this.#has(capability, msiControl)) this.#fixMsiFlags(capability);
        return this.#effects.msiMask();
      }
      case capabilityId.express:
        return isExpress ? this.#expressWritten(capability, before) : undefined;
      case capabilityId.advancedFeatures:
        if (!this.#has(capability, initiateReset.register)) return;
        if (!initiateReset.read(this.#view, capability.offset)) return;
        initiateReset.write(this.#view, false, capability.offset);
        // Offered only together with the transactions pending bit.
        if (resetSupport.every((field) => field.read(this.#registers, capability.offset)))
          this.#effects.reset();
    }
  }

  /** Whether a register lies inside of what is described: of one beyond, every bit is the hardware's. */
  #has(capability: Located, register: RegisterReference): boolean {
    return offsetOf(register, capability) + register.size <= this.#view.byteLength;
  }

  /** Writable bits go where they live. What goes to the device goes in the part's whole width, other bits as they read. */
  #store(offset: ConfigOffset, data: Uint8Array): void {
    const { virtual, write } = this.#map;
    if (offset >= write.length) return this.#hardware.write(offset, data);
    const down = new Uint8Array(data.length);
    let reaches = false;
    for (let i = 0; i < data.length; i++) {
      const at = offset + i;
      const own = write[at]! & virtual[at]!;
      const through = write[at]! & ~virtual[at]!;
      this.#values[at] = (this.#values[at]! & ~own) | (data[i]! & own);
      down[i] = (this.#hardware.config[at]! & ~through) | (data[i]! & through);
      if (through !== 0) reaches = true;
    }
    if (reaches) this.#hardware.write(offset, down);
  }

  #headerWritten(offset: ConfigOffset, data: Uint8Array): void {
    const first = offsetOf(command);
    if (offset < first || offset >= first + command.size) return;
    // Memory and I/O enable are kept beside the device's own, to gate the BARs.
    const decode = memorySpace.mask | ioSpace.mask;
    if (offset === first) this.#values[first] = (this.#values[first]! & ~decode) | (data[0]! & decode);
    this.#effects.interruptDisable(this.interruptDisabled);
  }

  /** To D0, as the host does before a reset. */
  awake(): void {
    this.#power.awake();
  }

  /** The host does a transfer at once: the flag turns. A recording has no VPD: it reads 0, and writes are dropped. */
  #transferVpd(capability: Located): void {
    const isWrite = vpdFlag.read(this.#view, capability.offset);
    const data = offsetOf(vpdData, capability);
    if (!isWrite) this.#values.fill(0, data, data + vpdData.size);
    vpdFlag.write(this.#view, !isWrite, capability.offset);
  }

  /** Device control: a reset bit that reads 0, and a read request size of which the device gets at least its payload size. */
  #expressWritten(capability: Located, before: number): void {
    const { offset } = capability;
    const control = deviceControl.read(this.#view, offset);
    if (functionReset.of(control)) {
      functionReset.write(this.#view, false, offset);
      if (resetCapable.read(this.#registers, offset)) this.#effects.reset();
    }
    const asked = maxReadRequest.bits(control);
    if (asked === maxReadRequest.bits(before)) return;
    const size = Math.max(asked, maxPayload.bits(deviceControl.read(this.#registers, offset)));
    if (size <= maxSize)
      maxReadRequest.write(this.#registers, maxReadRequest.of(size << maxReadRequest.lo), offset);
  }

  /** MSI is enabled by SET_IRQS alone, and no more vectors than that set. The whole byte is the user's otherwise. */
  #fixMsiFlags(capability: Located): void {
    const { offset } = capability;
    let flags = msiControl.read(this.#view, offset);
    if (this.#mode !== IrqIndex.msi) flags &= ~msiEnable.mask;
    if (msiCount.bits(flags) > this.#msiVectors)
      flags = (flags & ~msiCount.mask) | (this.#msiVectors << msiCount.lo);
    msiControl.write(this.#view, flags, offset);
    this.#hardware.write(offsetOf(msiControl, capability), Uint8Array.of(flags & 0xff, flags >>> 8));
  }

  /** SET_IRQS turned a kind of interrupts on or off: the host enables the device's own. @param vectors of MSI */
  interruptMode(mode: number | undefined, vectors: number): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    const registers = this.#registers;
    const msi = this.#msi;
    const msix = this.#msix;
    if (msi) {
      const isOn = mode === IrqIndex.msi;
      msiEnable.write(registers, isOn, msi.offset);
      if (isOn) {
        this.#msiVectors = Math.min(maxMsiExponent, Math.ceil(Math.log2(Math.max(1, vectors))));
        msiCount.write(registers, msiCount.of(this.#msiVectors << msiCount.lo), msi.offset);
      }
    }
    if (!msix) return;
    functionMask.write(registers, false, msix.offset);
    msixEnable.write(registers, mode === IrqIndex.msix, msix.offset);
  }

  /** Offset of the MSI mask bits, if the device has them; the pending bits follow. */
  get msiMaskAt(): ConfigOffset | undefined {
    const msi = this.#msi;
    if (!msi || !perVectorMasking.read(this.#registers, msi.offset)) return undefined;
    const map = address64Bit.read(this.#registers, msi.offset) ? msi64Masked : msi32Masked;
    return offsetOf(map.register("mask"), msi);
  }
}
