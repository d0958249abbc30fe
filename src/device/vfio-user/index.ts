/**
 * Devices over a socket: vfio-user, both ends. A server gives any device of this library to a virtual machine monitor
 * that speaks the protocol; a client is a backend like any other.
 * @module bun-vfio/vfio-user
 */
export { connectDevice } from "./client/connect-device.ts";
export type { ClientEvent, ConnectOptions } from "./client/options.ts";
export type { SharedRegion } from "./client/shared-region.ts";
export { VfioUserClient } from "./client/vfio-user-client.ts";
export type { Capabilities } from "./messages/version.ts";
export { defaultLimits, type ServerLimits } from "./server/context.ts";
export type {
  DeviceModule,
  DeviceServer,
  DeviceSource,
  ServedDevice,
  ServeOptions,
  ServerEvent,
} from "./server/options.ts";
export { serveDeviceBlocking, type BlockingOptions } from "./server/serve-blocking.ts";
export { serveDevice } from "./server/serve-device.ts";
export type { DeviceEnvironment, DeviceMemory } from "../seam/device-memory.ts";
