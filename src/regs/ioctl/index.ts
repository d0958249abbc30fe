/**
 * Argument structs, requests and constants of VFIO, iommufd and KVM. Sizes and offsets are those of 64-bit Linux.
 * @module bun-vfio/regs/ioctl
 */
export { constants, uapiName, type UapiName } from "./constants.ts";
export * from "./declarations.ts";
export * from "./kvm-arm64.ts";
export * from "./integer.ts";
export * from "./registry.ts";
export * from "./request.ts";
export * from "./struct.ts";
