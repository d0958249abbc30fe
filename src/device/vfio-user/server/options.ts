// What a server is told, and what it tells.
import type { Dma } from "../../seam/platform.ts";
import type { DeviceBackend } from "../../seam/backend.ts";
import type { DeviceEnvironment } from "../../seam/device-memory.ts";
import type { ServerLimits } from "./context.ts";

/** What a server tells. Of requests that a client causes, the listener hears each. */
export type ServerEvent =
  | { readonly kind: "client-connected"; readonly pid: number; readonly uid: number }
  /** `reason` where it was not the client that ended it: what it did wrong, or what failed. */
  | { readonly kind: "client-left"; readonly reason: string | undefined }
  /** A client of a user that may not. */
  | { readonly kind: "client-refused"; readonly pid: number; readonly uid: number }
  /** A request that the device could not do: the client was told the errno. */
  | {
      readonly kind: "request-failed";
      readonly command: string;
      readonly errno: number;
      readonly message: string;
    }
  /** A callback of the device's own threw. */
  | { readonly kind: "device-failed"; readonly message: string };

/** How a device is served. Times in milliseconds. */
export interface ServeOptions {
  /**
   * The path of a socket that is made: mode 0600, in a folder that others cannot write to. Or a descriptor of a socket that
   * listens; it is closed with the server.
   */
  readonly socket: string | number;
  /** Users whose clients are taken; without, whoever may connect: the server's own user and root. */
  readonly allowUids?: readonly number[] | undefined;
  /** What a client may have at most; sensible ones without it. */
  readonly limits?: Partial<ServerLimits> | undefined;
  /** How long a client may take to answer a DMA request; 5,000 without. */
  readonly dmaTimeout?: number | undefined;
  /** How long a client may take to read what it is sent, or to end a message that it has begun; 5,000 without. */
  readonly peerTimeout?: number | undefined;
  /** Hears what happens, in the order in which it does. */
  readonly onEvent?: ((event: ServerEvent) => void) | undefined;
}

/** A device, and the IOMMU of this host that follows its client's DMA maps: for a real device. */
export interface ServedDevice {
  /** What is served. */
  readonly device: DeviceBackend;
  /** What the client's memory is mapped in, for the device to reach. */
  readonly dma?: Dma | undefined;
}

/** A device that is there, or what makes one in a server's environment. */
export type DeviceSource<Data = unknown> =
  DeviceBackend | ((environment: DeviceEnvironment, data: Data) => DeviceBackend | ServedDevice);

/** A device that is being served. Disposing of it ends its client, the server and the device, and removes the socket. */
export interface DeviceServer extends AsyncDisposable {
  /** Settled once clients can connect; rejected with what prevents that. */
  readonly ready: Promise<void>;
  /** Settled once the server has ended and everything is closed. Safe to call twice. */
  stop(): Promise<void>;
}

/** How a device's thread says what it serves: the `default` of its module. */
export type DeviceModule<Data = unknown> = {
  /** Makes the device. */
  readonly default: (environment: DeviceEnvironment, data: Data) => DeviceBackend | ServedDevice;
};
