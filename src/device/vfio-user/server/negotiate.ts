// VERSION on the server's side: what was proposed, what is answered, what holds from then on.
import { unixPair } from "../../../ffi/unix-socket.ts";
import type { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { decodeCapabilities, encodeCapabilities, version, type Capabilities } from "../messages/version.ts";
import { bodyAt } from "../messages/header.ts";
import type { Request, SessionContext } from "./context.ts";

/** The newest minor version of major 0 that is spoken here. */
const minorVersion = 1;

/** What came of VERSION. */
export interface Agreement {
  /** Of the client, for what the server sends. */
  readonly client: Capabilities;
  /** Size of the reply's body, in bytes. */
  readonly size: number;
  /** The server's end of a socket for its own requests, and the client's. */
  readonly twin: { readonly own: FileDescriptor; readonly theirs: FileDescriptor } | undefined;
}

/** @returns undefined for a proposal that cannot be accepted: it is refused and the connection ends */
export function negotiate(
  { connection, limits }: SessionContext,
  { at, size }: Request,
): Agreement | undefined {
  const { view, bytes, outAt, fds } = connection;
  if (size < version.size || fds.length > 0) return undefined;
  const { major, minor } = version.decode(view, at);
  const client = decodeCapabilities(bytes.subarray(at + version.size, at + size));
  if (major !== 0 || !client) return undefined;
  const pair = client.twinSocket.supported ? unixPair("a twin socket") : undefined;
  const json = encodeCapabilities({
    maxMessageFds: limits.maxMessageFds,
    maxTransfer: limits.maxTransfer,
    maxDmaMaps: limits.maxDmaMaps,
    pageSizes: 4096,
    // A subset of what was proposed.
    writeMultiple: client.writeMultiple,
    twinSocket: { supported: pair !== undefined, fdIndex: 0 },
  });
  version.encode(view, outAt + bodyAt, { major: 0, minor: Math.min(minor, minorVersion) });
  bytes.set(json, outAt + bodyAt + version.size);
  return { client, size: version.size + json.length, twin: pair && { own: pair[0], theirs: pair[1] } };
}
