// How a device is described: its identity, its capabilities, its BARs as register maps, and what the maps cannot say.
import type { Entries, PlainRegisters } from "../../../regs/entries.ts";
import type { LiveValue } from "../../../regs/live-types.ts";
import type { RegisterMap } from "../../../regs/map.ts";
import type { RegisterBlock } from "../../../regs/block.ts";
import type { Register } from "../../../regs/register.ts";
import type { DeviceEnvironment } from "../../seam/device-memory.ts";
import type { ModelInterrupts } from "./interrupts.ts";
import type { PlacedCapability } from "./capabilities.ts";
import type { RegisterBank } from "./register-bank.ts";

/** A BAR of a modelled device. */
export interface ModelBar {
  /** Its registers; what none of them covers reads 0 and takes no write, unless `rest` of its handlers says otherwise. */
  readonly map: RegisterBlock & { readonly entries: Entries };
  /** In bytes, a power of two: of memory from 16 on, of I/O from 4 on. The smallest that holds the map unless given. */
  readonly size?: number | undefined;
  /** `memory32` unless given; a `memory64` takes the next BAR's register too. */
  readonly kind?: "memory32" | "memory64" | "io" | undefined;
  /** No without it. */
  readonly prefetchable?: boolean | undefined;
}
/** By BAR, 0 to 5. */
export type ModelBars = { readonly [bar in 0 | 1 | 2 | 3 | 4 | 5]?: ModelBar };

type MapOf<B> = B extends { readonly map: RegisterMap<infer M> } ? M : never;
type ValueOf<R> = R extends Register<infer W, infer _, infer F> ? LiveValue<W, F> : never;

/** What one register does beyond its access words. */
export interface RegisterHandler<V> {
  /** Before a read of any of its bytes: brings the register up to date. */
  read?(index: number): void;
  /**
   * After a write of any of its bytes, as its access words took it; bits that start something are still set, and are cleared
   * afterwards. @param value the register now @param before as it was @param index in its table; 0 outside of one
   */
  write?(value: V, before: V, index: number): void;
}

/** Bytes of a BAR that no register covers. */
export interface RestHandler {
  /** Fills `data`, which is zeros, from byte `offset` of the BAR. */
  read?(offset: number, data: Uint8Array): void;
  /** Takes `data` at byte `offset` of the BAR. */
  write?(offset: number, data: Uint8Array): void;
}

/** By name of a register; of a table's registers by the table's, as `doorbell`, or `queue.tail` of a group's. */
export type BarHandlers<M extends Entries> = {
  readonly [K in keyof PlainRegisters<M>]?: RegisterHandler<ValueOf<PlainRegisters<M>[K]>>;
} & { readonly tables?: Readonly<Record<string, RegisterHandler<unknown>>>; readonly rest?: RestHandler };

/** What a device does: all that its maps do not say. */
export interface ModelBehaviour<B extends ModelBars> {
  /** What the access words cannot say, by register. */
  readonly bars?: { readonly [K in keyof B]?: BarHandlers<MapOf<B[K]>> } | undefined;
  /** After each access of a BAR: what follows from the registers as they are, such as the interrupt line. */
  accessed?(): void;
  /** The function was reset; its registers have their reset values already. */
  reset?(): void;
  /** State that is in no register, made for JSON; a snapshot carries it. */
  save?(): unknown;
  /** @param state what `save` gave, or anything: nothing of it may be trusted @throws RangeError for what does not fit */
  restore?(state: unknown): void;
  /** Nothing of the device is used any more. */
  close?(): void;
}

/** What a device has to work with. */
export interface ModelContext<B extends ModelBars> {
  /** Its registers, by BAR. */
  readonly bars: { readonly [K in keyof B]-?: RegisterBank<MapOf<B[K]>> };
  /** Memory by IOVA. While bus mastering is off each access throws a VfioError (`EACCES`), as the bus would drop it. */
  readonly memory: DeviceEnvironment["memory"];
  /** The device's own. */
  readonly interrupts: ModelInterrupts;
  /** Whether the guest lets it do DMA and send messages. */
  readonly busMaster: boolean;
  /** Calls back once, after `milliseconds`, between two accesses. @returns disposing of it calls that off */
  after: DeviceEnvironment["after"];
  /** Calls back while a descriptor can be read, between two accesses. @returns disposing of it ends that */
  watch: DeviceEnvironment["watch"];
}

/** A device, described once. */
export interface ModelDescription<B extends ModelBars> {
  /** For messages. */
  readonly name: string;
  /** 16 bits. */
  readonly vendorId: number;
  /** 16 bits. */
  readonly deviceId: number;
  /** Base class, subclass and programming interface, as 0x010802. */
  readonly classCode: number;
  /** 0 unless given. */
  readonly revision?: number | undefined;
  /** 16 bits; 0 without it. */
  readonly subsystemVendorId?: number | undefined;
  /** 16 bits; 0 without it. */
  readonly subsystemId?: number | undefined;
  /** By number, 0 to 5. */
  readonly bars: B;
  /** It has an INTx pin, INTA. */
  readonly intx?: boolean | undefined;
  /** It sends messages; `vectors` 1, 2, 4, 8, 16 or 32. */
  readonly msi?: { readonly vectors: number; readonly maskable?: boolean | undefined } | undefined;
  /** Table and pending bits lie in a BAR, at offsets that are multiples of 8 and of no register. */
  readonly msix?:
    | {
        /** 1 to 2048. */
        readonly vectors: number;
        readonly bar: number;
        readonly table: number;
        readonly pba: number;
      }
    | undefined;
  /** More capabilities, in the order of their list; see `modelCapability`. Extended ones make config space 4096 bytes. */
  readonly capabilities?: readonly PlacedCapability[] | undefined;
  /** Makes the behaviour of one device. It must not use the device yet. */
  create?(device: ModelContext<B>): ModelBehaviour<B>;
}
