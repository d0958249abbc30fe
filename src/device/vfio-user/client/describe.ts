// What a server says of its device when a client has connected: version, regions, interrupts. Nothing of it is believed
// that cannot be.
import { VfioError } from "../../../ffi/errors.ts";
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { absentIrq, irqCount, type IrqInfo } from "../../../regs/vfio/irqs.ts";
import { absentRegion, maxIndex, regionCount, type RegionInfo } from "../../../regs/vfio/regions.ts";
import { protocolError } from "../connection.ts";
import { deviceFlag, deviceInfo } from "../messages/device.ts";
import { bodyAt, Command } from "../messages/header.ts";
import { irqInfo } from "../messages/irqs.ts";
import { decodeRegionInfo, regionInfo } from "../messages/regions.ts";
import { decodeCapabilities, encodeCapabilities, version, type Capabilities } from "../messages/version.ts";
import type { Link, Message } from "./link.ts";

/** What this side takes. Data of one transfer, in bytes. */
export const maxTransfer = 2 ** 20;
/** Descriptors that a server may send with one message. */
const maxMessageFds = 16;

const malformed = (link: Link, what: string): VfioError =>
  link.fail(protocolError(link.connection.peer, what));

/** Agrees with the server. @throws VfioError where it is no vfio-user server, or of another version */
export function negotiate(link: Link, withTwin: boolean): Capabilities {
  const { view, bytes, outAt } = link.request;
  const minorVersion = 1;
  version.encode(view, outAt + bodyAt, { major: 0, minor: minorVersion });
  const json = encodeCapabilities({
    maxMessageFds,
    maxTransfer,
    pageSizes: 4096,
    twinSocket: { supported: withTwin, fdIndex: 0 },
  });
  bytes.set(json, outAt + bodyAt + version.size);
  const { at, size } = link.call(Command.version, version.size + json.length);
  const { major, minor } = size < version.size ? { major: -1, minor: 0 } : version.decode(view, at);
  if (major !== 0 || minor > minorVersion)
    throw malformed(link, `version ${major}.${minor} for 0.${minorVersion} at most`);
  const server = decodeCapabilities(bytes.subarray(at + version.size, at + size));
  if (!server) throw malformed(link, "capabilities that cannot be");
  const { supported, fdIndex } = server.twinSocket;
  const fd = link.connection.fds[fdIndex];
  if (supported && fd === undefined) throw malformed(link, "a twin socket without its descriptor");
  if (supported && withTwin)
    link.useTwin(new FileDescriptor(link.connection.fds.splice(fdIndex, 1)[0]!, "a twin socket"));
  return server;
}

/** DEVICE_GET_INFO. */
export function describeDevice(link: Link): {
  readonly resettable: boolean;
  readonly regions: number;
  readonly irqs: number;
} {
  const { view, outAt } = link.request;
  deviceInfo.encode(view, outAt + bodyAt, { argsz: deviceInfo.size, flags: 0, regions: 0, irqs: 0 });
  const { at, size } = link.call(Command.deviceInfo, deviceInfo.size);
  if (size < deviceInfo.size) throw malformed(link, `${size} bytes of device info`);
  const { flags, regions, irqs } = deviceInfo.decode(view, at);
  if ((flags & deviceFlag.pci) === 0) throw malformed(link, "a device that is not a PCI device");
  if (regions > maxIndex + 1 || irqs > maxIndex + 1)
    throw malformed(link, `${regions} regions and ${irqs} interrupts`);
  return { resettable: (flags & deviceFlag.reset) !== 0, regions, irqs };
}

/** A region, and the file behind it. */
export interface DescribedRegion {
  readonly info: RegionInfo;
  /** Where the region begins in the file, in bytes. */
  readonly offset: number;
  readonly file: FileDescriptor | undefined;
}

/** The largest description of a region, in bytes. */
const maxRegionInfo = 64 * 1024;

/** DEVICE_GET_REGION_INFO for each region that a PCI device has. @returns with no gap; the caller closes the files */
export function describeRegions(link: Link, count: number): DescribedRegion[] {
  using failed = new DisposableStack();
  const regions = Array.from({ length: Math.max(count, regionCount) }, (_, index) => {
    const region = index < count ? describeRegion(link, index) : undefined;
    if (region?.file) failed.use(region.file);
    return region ?? { info: absentRegion(index), offset: 0, file: undefined };
  });
  failed.move();
  return regions;
}

function describeRegion(link: Link, index: number): DescribedRegion | undefined {
  let room = regionInfo.size;
  for (let tries = 0; tries < 4; tries++) {
    const { view, outAt, fds } = link.request;
    regionInfo.encode(view, outAt + bodyAt, {
      argsz: room,
      flags: 0,
      index,
      capOffset: 0,
      size: 0,
      offset: 0,
    });
    let reply: Message;
    try {
      reply = link.call(Command.regionInfo, regionInfo.size);
    } catch (error) {
      // A region that the server does not have; a connection that is gone is another matter.
      if (!link.gone && error instanceof VfioError) return undefined;
      throw error;
    }
    const { at, size } = reply;
    const needed = size >= regionInfo.size ? regionInfo.decode(view, at).argsz : 0;
    if (needed > room && needed <= maxRegionInfo) {
      room = needed;
      continue;
    }
    const region = decodeRegionInfo(view, at, size);
    if (!region || region.index !== index) throw malformed(link, `region info ${index} that cannot be`);
    const [fd] = fds.splice(0, 1);
    const file =
      fd === undefined ? undefined : new FileDescriptor(fd, `region ${index} of ${link.connection.peer}`);
    const { offset, ...info } = region;
    // Without a file of it there is nothing to map.
    return { info: { ...info, mappable: info.mappable && file !== undefined }, offset, file };
  }
  throw malformed(link, `region info ${index} that grows with each question`);
}

/** DEVICE_GET_IRQ_INFO for each interrupt that a PCI device has. @returns with no gap */
export function describeIrqs(link: Link, count: number): IrqInfo[] {
  return Array.from({ length: Math.max(count, irqCount) }, (_, index) =>
    index < count ? describeIrq(link, index) : absentIrq(index),
  );
}

/** Vectors of one interrupt index, at most. */
const maxVectors = 65535;

function describeIrq(link: Link, index: number): IrqInfo {
  const { view, outAt } = link.request;
  irqInfo.encode(view, outAt + bodyAt, { argsz: irqInfo.size, flags: 0, index, count: 0 });
  let reply: Message;
  try {
    reply = link.call(Command.irqInfo, irqInfo.size);
  } catch (error) {
    if (!link.gone && error instanceof VfioError) return absentIrq(index);
    throw error;
  }
  const info = reply.size >= irqInfo.size ? irqInfo.decodeInfo(view, reply.at) : undefined;
  if (!info || info.index !== index || info.count > maxVectors)
    throw malformed(link, `interrupt info ${index} that cannot be`);
  return info;
}
