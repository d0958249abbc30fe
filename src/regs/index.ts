/**
 * The registers of PCI: their maps, and all that is made of a map. Data alone: runs wherever JavaScript does.
 * @module bun-vfio/regs
 */
export * from "./access.ts";
export * from "./answers.ts";
export * from "./array.ts";
export * from "./derived.ts";
export * from "./entries.ts";
export * from "./view-types.ts";
export * from "./bdf.ts";
export * from "./capability.ts";
export * from "./class-names.ts";
export * from "./decode.ts";
export * from "./diff.ts";
export * from "./field.ts";
export { fieldBits, fieldMask, fieldValue, type AnyFieldValue } from "./field-value.ts";
export type { Gaps } from "./gaps.ts";
export * from "./layout.ts";
export type * from "./live-types.ts";
export { registerMap, type RegisterBlock, type RegisterMap } from "./map.ts";
export * from "./maps/index.ts";
export * from "./masks.ts";
export type { FieldAt, FieldPath, FieldReference, RegisterAt, RegisterReference } from "./reference.ts";
export * from "./register.ts";
export type { Scale } from "./scale.ts";
export * from "./text.ts";
export * from "./walk.ts";
