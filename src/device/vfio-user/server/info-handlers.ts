// What a client asks of the device: its regions, interrupts, features. Nothing here changes anything.
import { deviceFlag, deviceInfo, feature, featureFlag, migrationData } from "../messages/device.ts";
import { bodyAt } from "../messages/header.ts";
import { irqInfo } from "../messages/irqs.ts";
import { encodeRegionInfo, regionInfo, regionIoFds } from "../messages/regions.ts";
import { refusal } from "../refusals.ts";
import type { Handler, Request, SessionContext } from "./context.ts";

/** Whether a body has room for a struct, and its `argsz` says so too. */
const holds = ({ connection: { view } }: SessionContext, { at, size }: Request, least: number): boolean =>
  size >= least && view.getUint32(at, true) >= least;

/** DEVICE_GET_INFO. */
export const getDeviceInfo: Handler = (context, request) => {
  const { connection, device, regions, irqs } = context;
  if (!holds(context, request, deviceInfo.size)) return refusal.invalid;
  deviceInfo.encode(connection.view, connection.outAt + bodyAt, {
    argsz: deviceInfo.size,
    flags: deviceFlag.pci + (device.resettable ? deviceFlag.reset : 0),
    regions: regions.length,
    irqs: irqs.length,
  });
  return deviceInfo.size;
};

/** DEVICE_GET_REGION_INFO. @param replyFds takes the descriptor of a region that can be mapped */
export const getRegionInfo =
  (replyFds: number[]): Handler =>
  (context, request) => {
    const { connection, device, regions } = context;
    const { view, outAt } = connection;
    if (!holds(context, request, regionInfo.size)) return refusal.invalid;
    const { argsz, index } = regionInfo.decode(view, request.at);
    const region = regions[index];
    if (!region) return refusal.invalid;
    const file = region.mappable ? device.regionFile?.(index) : undefined;
    // Without a file of it, a client has no way to map a region, whatever this process could do.
    const reply = { ...region, mappable: file !== undefined, offset: file?.offset ?? 0 };
    const { size, whole } = encodeRegionInfo(view, outAt + bodyAt, reply, argsz);
    if (file && whole) replyFds.push(file.fd);
    return size;
  };

/** DEVICE_GET_IRQ_INFO. */
export const getIrqInfo: Handler = (context, request) => {
  const { connection, irqs } = context;
  const { view, outAt } = connection;
  if (!holds(context, request, irqInfo.size)) return refusal.invalid;
  const irq = irqs[irqInfo.decode(view, request.at).index];
  if (!irq) return refusal.invalid;
  irqInfo.encodeInfo(view, outAt + bodyAt, irq);
  return irqInfo.size;
};

/** DEVICE_GET_REGION_IO_FDS: a device here has none, which is told as the specification has it for one that cannot. */
export const getRegionIoFds: Handler = (context, request) => {
  if (!holds(context, request, regionIoFds.size)) return refusal.invalid;
  const { flags, index, count } = regionIoFds.decode(context.connection.view, request.at);
  return flags !== 0 || count !== 0 || !context.regions[index] ? refusal.invalid : refusal.notSupported;
};

/** DEVICE_FEATURE: none is served yet. */
export const deviceFeature: Handler = (context, request) => {
  if (!holds(context, request, feature.size)) return refusal.invalid;
  const { flags } = feature.decode(context.connection.view, request.at);
  const ways = [featureFlag.get, featureFlag.set].filter((way) => (flags & way) !== 0).length;
  const known = featureFlag.mask + featureFlag.get + featureFlag.set + featureFlag.probe;
  const isProbe = (flags & featureFlag.probe) !== 0;
  if ((flags & ~known) !== 0 || ways === 0 || (ways > 1 && !isProbe)) return refusal.invalid;
  return refusal.noSuchFeature;
};

/** MIG_DATA_READ and MIG_DATA_WRITE: of no use in the one state that a device here is in, running. */
export const migrationStream: Handler = (context, request) => {
  if (!holds(context, request, migrationData.size)) return refusal.invalid;
  return refusal.invalid;
};
