// A recorder's file with what was attached, which a schema checks.
import type { TracedDevice } from "../seam/trace.ts";
import {
  badFlight,
  deviceAt,
  deviceSize,
  header,
  readFlightEntries,
  type FlightEntries,
} from "./flight-format.ts";
import { messageOf } from "../../regs/message-of.ts";

/** What a recorder's file holds. */
export interface FlightRecording extends FlightEntries {
  /** What was attached; undefined where the attach did not come so far. */
  readonly device: TracedDevice | undefined;
}

/**
 * Reads a recorder's file. Nothing of it is trusted.
 * @param name for messages
 * @throws VfioError (`EBADFLIGHT`) that says what is wrong
 */
export function readFlight(bytes: Uint8Array, name: string): FlightRecording {
  const entries = readFlightEntries(bytes, name);
  return { device: deviceOf(bytes, name), ...entries };
}

function deviceOf(bytes: Uint8Array, name: string): TracedDevice | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = view.getUint32(header.deviceSize, true);
  if (size === 0) return undefined;
  if (size > deviceSize) throw badFlight(name, `it says that its device takes ${size} bytes`);
  const { parseDevice } = require("./flight-schema.ts") as typeof import("./flight-schema.ts");
  try {
    return parseDevice(JSON.parse(new TextDecoder().decode(bytes.subarray(deviceAt, deviceAt + size))));
  } catch (cause) {
    throw badFlight(name, `its device cannot be read: ${messageOf(cause)}`);
  }
}
