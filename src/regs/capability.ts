import { emulated, hex, ro } from "./field.ts";
import { ownMap, type RegisterBlock } from "./map.ts";
import { r32, r8 } from "./register.ts";

/** One kind of capability: how it is called and how its registers lie. */
export interface CapabilityType {
  /** Of the specification. */
  readonly id: number;
  /** Whether it is in the list of extended capabilities. */
  readonly extended: boolean;
  /** The short name, as `MSI-X`. */
  readonly name: string;
  /**
   * The registers of one instance, chosen from its own bytes (a version, a size bit, a count); it may look
   * at any byte of `config` inside its length, and the result is bounded whatever those bytes hold.
   * @param config the whole config space, at least `at + limit` bytes
   * @param at byte offset of the capability
   * @param limit bytes up to the next capability or the end of the space
   */
  layout(config: DataView, at: number, limit: number): RegisterBlock;
}

/** ID and next pointer, the first two bytes of each standard capability (PCI Express Base Specification 7.5.3). */
export const standardHead = {
  id: hex(r8(0x00, "hwinit")),
  // The model relinks the list when it hides a capability.
  next: emulated(hex(r8(0x01, "hwinit"))),
} as const;

/** The header of each extended capability (PCI Express Base Specification 7.6.3). */
export const extendedHead = {
  header: emulated(r32(0x00, { id: hex(ro(15, 0)), version: ro(19, 16), next: hex(ro(31, 20)) })),
} as const;

/** Of a standard capability that no map describes, or that is cut off: its head alone. */
export const unknownStandard = ownMap("unknown", 2, () => standardHead);
/** Of an extended capability that no map describes, or that is cut off: its head alone. */
export const unknownExtended = ownMap("unknown", 4, () => extendedHead);

/** `layout` is one map or chooses one. */
const declared =
  (extended: boolean) =>
  (id: number, name: string, layout: RegisterBlock | CapabilityType["layout"]): CapabilityType => ({
    id,
    name,
    extended,
    layout: typeof layout === "function" ? layout : () => layout,
  });

/** A standard capability; `layout` is one map or chooses one. */
export const standardCapability = declared(false);
/** An extended capability; `layout` is one map or chooses one. */
export const extendedCapability = declared(true);

/** Remembers one map a parameter: layouts of variable size are built once for each size met. */
export function mapPerCount(build: (count: number) => RegisterBlock): (count: number) => RegisterBlock {
  const maps = new Map<number, RegisterBlock>();
  return (count) => {
    let map = maps.get(count);
    if (!map) maps.set(count, (map = build(count)));
    return map;
  };
}
