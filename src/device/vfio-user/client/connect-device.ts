// How a device at the other end of a socket is had.
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { connectUnix } from "../../../ffi/unix-socket.ts";
import type { ConnectOptions } from "./options.ts";
import { VfioUserClient } from "./vfio-user-client.ts";

const hint = (code: string): string | undefined =>
  code === "ENOENT"
    ? "No server has made that socket yet."
    : code === "ECONNREFUSED"
      ? "Its server has ended: start it again."
      : code === "EACCES"
        ? "The socket is another user's: a server makes it with mode 0600."
        : undefined;

/**
 * Connects to a vfio-user server.
 * @param server the path of its socket, or a descriptor of a connected one, which is taken over
 * @returns the device, a backend: to be closed by `dispose`
 * @throws VfioError where nobody listens, or who does is no vfio-user server with a PCI device
 * @example
 * using device = connectDevice("/run/user/1000/nvme.sock");
 * using guest = VfioPciDevice.attach(device, platform);
 */
export function connectDevice(server: string | number, options: ConnectOptions = {}): VfioUserClient {
  const name = options.name ?? `vfio-user:${typeof server === "string" ? server : `descriptor ${server}`}`;
  if (typeof server === "number") return new VfioUserClient(new FileDescriptor(server, name), name, options);
  const connect = (): FileDescriptor => connectUnix(server, { device: name, hint });
  return new VfioUserClient(connect(), name, options, connect);
}
