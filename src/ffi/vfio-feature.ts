// VFIO_DEVICE_FEATURE (linux/vfio.h): ask, get, set.
import { checked, uint32, type IntegerRange } from "../regs/ioctl/integer.ts";
import { bytesOf, create } from "../regs/ioctl/struct.ts";
import { VfioDeviceFeature, vfioFeature, vfioFeatureFlag } from "../regs/ioctl/vfio-feature.ts";
import { vfioRequest } from "../regs/ioctl/vfio-requests.ts";
import { ioctl, ioctlOrErrno, valueName, type IoctlContext } from "./ioctl.ts";

const { GET, SET, PROBE, MASK } = vfioFeatureFlag;

const featureNumber: IntegerRange = { ...uint32("a feature"), max: MASK };

/** The most data that a feature may have, in bytes. */
const maxData = 2 ** 20;

function request(feature: number, flags: number, data: Uint8Array | number): Uint8Array {
  checked(feature, featureNumber);
  const size = typeof data === "number" ? data : data.byteLength;
  if (size > maxData) throw new RangeError(`a feature has at most ${maxData} bytes, not ${size}`);
  const struct = create(VfioDeviceFeature, size);
  const bytes = bytesOf(struct);
  struct.argsz = bytes.byteLength;
  struct.flags = feature | flags;
  if (typeof data !== "number") bytes.set(data, VfioDeviceFeature.baseSize);
  return bytes;
}

const text = (verb: string, feature: number) => (): string =>
  `VFIO_DEVICE_FEATURE ${verb} ${valueName(vfioFeature, feature)}`;

/** Whether a feature can be got and set, without using it; undefined where the device does not know it. */
export function probeFeature(
  device: number,
  feature: number,
): { readonly get: boolean; readonly set: boolean } | undefined {
  const ask = (flag: number): boolean =>
    ioctlOrErrno(device, vfioRequest.DEVICE_FEATURE, request(feature, PROBE | flag, 0)) >= 0;
  const get = ask(GET);
  const set = ask(SET);
  return get || set ? { get, set } : undefined;
}

/** Gets a feature. @param data what the kernel takes in; it is filled with what it gives back @returns the ioctl's result */
export function getFeature(
  device: number,
  feature: number,
  data: Uint8Array,
  context: IoctlContext = {},
): number {
  const bytes = request(feature, GET, data);
  const result = ioctl(device, vfioRequest.DEVICE_FEATURE, bytes, {
    ...context,
    request: text("GET", feature),
  });
  data.set(bytes.subarray(VfioDeviceFeature.baseSize));
  return result;
}

/** Sets a feature. @param data its struct, filled with what the kernel gives back; none for a feature without data */
export function setFeature(
  device: number,
  feature: number,
  data: Uint8Array = new Uint8Array(),
  context: IoctlContext = {},
): number {
  const bytes = request(feature, SET, data);
  const result = ioctl(device, vfioRequest.DEVICE_FEATURE, bytes, {
    ...context,
    request: text("SET", feature),
  });
  data.set(bytes.subarray(VfioDeviceFeature.baseSize));
  return result;
}
