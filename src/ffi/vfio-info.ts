// The INFO requests of VFIO: a struct that says how much room it needs, and a chain of capabilities behind it.
import { bytesOf, create, view, type StructClass } from "../regs/ioctl/struct.ts";
import { VfioInfoCapHeader } from "../regs/ioctl/vfio-container.ts";
import { VfioError } from "./errors.ts";
import { ioctl, type IoctlWhat } from "./ioctl.ts";

/** The most that an INFO request may ask for, in bytes. */
const maxInfo = 2 ** 20;

/** What the structs of INFO requests have in common. */
export interface InfoStruct {
  /** Its name in the kernel's headers. */
  readonly __struct: string;
  /** In bytes, with what the kernel has room for. */
  argsz: number;
}

/**
 * An INFO request, with as much room as the kernel asks for.
 * @param fill sets what goes in; called again for each larger struct
 */
export function askInfo<Info extends InfoStruct>(
  fd: number,
  request: number,
  type: StructClass<Info>,
  fill: (info: Info) => void,
  what: IoctlWhat,
): Info {
  let room = type.baseSize;
  // What a capability says may change between two requests: ask again, but not forever.
  for (let tries = 0; tries < 4 && room <= maxInfo; tries++) {
    const info = create(type, room - type.baseSize);
    fill(info);
    info.argsz = room;
    ioctl(fd, request, bytesOf(info), what);
    if (info.argsz <= room) return info;
    room = info.argsz;
  }
  throw malformed(what, `asks for ${room} bytes`);
}

/** One capability of an INFO struct, as it lies there: its header and all that follows. */
export interface InfoCapability {
  /** What it describes. */
  readonly id: number;
  /** Of its struct. */
  readonly version: number;
  /** From its header to the end of the whole struct: a capability does not tell its length. */
  readonly bytes: Uint8Array;
}

/**
 * The capabilities of an INFO struct, in the chain's order.
 * @param first `cap_offset`; 0 where there is none
 * @param start size of the struct that the chain follows, in bytes
 * @throws VfioError (`EBADINFO`) for a chain that turns back or leaves the struct
 */
export function infoCapabilities(
  info: Uint8Array,
  first: number,
  start: number,
  what: IoctlWhat,
): InfoCapability[] {
  const found: InfoCapability[] = [];
  let least = start;
  for (let at = first; at !== 0;) {
    // The kernel appends them in order, so a chain that only goes forward is what there is; and it ends.
    if (at < least || at + VfioInfoCapHeader.baseSize > info.byteLength)
      throw malformed(what, `has a capability at ${at} of ${info.byteLength} bytes`);
    const { id, version, next } = view(VfioInfoCapHeader, info, at);
    found.push({ id, version, bytes: info.subarray(at) });
    least = at + VfioInfoCapHeader.baseSize;
    at = next;
  }
  return found;
}

/** A capability as its struct. @throws VfioError (`EBADINFO`) for one that is cut off */
export function capabilityView<T>(type: StructClass<T>, capability: Uint8Array, what: IoctlWhat): T {
  if (capability.byteLength >= type.baseSize) return view(type, capability);
  throw malformed(what, `has ${capability.byteLength} bytes of a ${type.name}, which has ${type.baseSize}`);
}

/** What the kernel says and cannot be. */
export function malformed({ request, device }: IoctlWhat, why: string): VfioError {
  const text = typeof request === "string" ? request : request();
  return new VfioError(`${device === undefined ? "" : `${device}: `}${text} ${why}`, {
    code: "EBADINFO",
    syscall: "ioctl",
    request: text,
    device,
  });
}
