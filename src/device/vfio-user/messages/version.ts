// VERSION: both sides say what they can (specification, "Version Data Format"). Pure: text and numbers.
import { wireStruct } from "../wire.ts";

/** The fixed part of VERSION and its reply; JSON and a NUL follow. */
export const version = wireStruct(4, { major: "u16", minor: "u16" });

/** What a peer can, or what both can once agreed. Sizes in bytes. */
export interface Capabilities {
  /** Descriptors that it takes with one message. */
  readonly maxMessageFds: number;
  /** Data of one REGION_READ, REGION_WRITE, DMA_READ or DMA_WRITE. */
  readonly maxTransfer: number;
  /** Maps that it holds at once. */
  readonly maxDmaMaps: number;
  /** A bit for each page size that maps may have. */
  readonly pageSizes: number;
  /** It takes REGION_WRITE_MULTI. */
  readonly writeMultiple: boolean;
  /** In a proposal: it can. In an answer: the number of the descriptor of a socket for DMA_READ and DMA_WRITE. */
  readonly twinSocket: { readonly supported: boolean; readonly fdIndex: number };
}

/** What is meant where a peer does not say. */
export const defaultCapabilities: Capabilities = {
  maxMessageFds: 1,
  maxTransfer: 2 ** 20,
  maxDmaMaps: 65535,
  pageSizes: 4096,
  writeMultiple: false,
  twinSocket: { supported: false, fdIndex: 0 },
};

const maxNumber = 2 ** 32;

/** As compact as it gets: QEMU 11.1.3 takes 193 characters and a NUL in an answer, no more. */
export function encodeCapabilities(own: Partial<Capabilities>): Uint8Array {
  const { twinSocket } = own;
  const capabilities = {
    max_msg_fds: own.maxMessageFds,
    max_data_xfer_size: own.maxTransfer,
    max_dma_maps: own.maxDmaMaps,
    pgsizes: own.pageSizes,
    write_multiple: own.writeMultiple || undefined,
    twin_socket: twinSocket?.supported ? { supported: true, fd_index: twinSocket.fdIndex } : undefined,
  };
  return new TextEncoder().encode(`${JSON.stringify({ capabilities })}\0`);
}

/**
 * What a peer's JSON says; unknown keys say nothing.
 * @param bytes all that follows the fixed part; may be empty
 * @returns undefined where it is no JSON object that ends in a NUL, or a known key has a wrong type or an absurd value
 */
export function decodeCapabilities(bytes: Uint8Array): Capabilities | undefined {
  if (bytes.length === 0) return defaultCapabilities;
  const end = bytes.indexOf(0);
  if (end < 0 || end > maxJson) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, end)) || "{}");
  } catch {
    return undefined;
  }
  const given = objectOf(parsed) && objectOf(objectOf(parsed)!["capabilities"] ?? {});
  if (!given) return undefined;
  const number = (key: string, min: number, max: number, preset: number): number => {
    const value = given[key] ?? preset;
    return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? value : NaN;
  };
  const twin = objectOf(given["twin_socket"] ?? {});
  const writeMultiple = given["write_multiple"] ?? false;
  const supported = twin?.["supported"] ?? false;
  const fdIndex = twin?.["fd_index"] ?? 0;
  const found = {
    maxMessageFds: number("max_msg_fds", 0, 1024, defaultCapabilities.maxMessageFds),
    maxTransfer: number("max_data_xfer_size", 8, maxNumber, defaultCapabilities.maxTransfer),
    maxDmaMaps: number("max_dma_maps", 0, maxNumber, defaultCapabilities.maxDmaMaps),
    pageSizes: number("pgsizes", 1, Number.MAX_SAFE_INTEGER, defaultCapabilities.pageSizes),
  };
  if (Object.values(found).some(Number.isNaN) || !twin) return undefined;
  if (typeof writeMultiple !== "boolean" || typeof supported !== "boolean") return undefined;
  if (typeof fdIndex !== "number" || !Number.isInteger(fdIndex) || fdIndex < 0) return undefined;
  return { ...found, writeMultiple, twinSocket: { supported, fdIndex } };
}

/** The longest JSON that is looked at, in bytes. */
const maxJson = 16 * 1024;

const objectOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
