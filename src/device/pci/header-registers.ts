// Registers and fields of the header that model and backends themselves look at: taken from its map once.
import { endpointHeader } from "../../regs/maps/header.ts";

/** Which BARs answer, whether the function may do DMA, and whether it may assert INTx. */
export const command = endpointHeader.register("command");
export const ioSpace = endpointHeader.field("command.ioSpace");
export const memorySpace = endpointHeader.field("command.memorySpace");
export const busMaster = endpointHeader.field("command.busMaster");
export const interruptDisable = endpointHeader.field("command.interruptDisable");

export const status = endpointHeader.register("status");
/** Whether it has something to say by INTx: what a driver asks whose line is shared. */
export const interruptStatus = endpointHeader.field("status.interruptStatus");
export const capabilityList = endpointHeader.field("status.capabilityList");
export const capabilitiesPointer = endpointHeader.register("capabilitiesPointer");
export const headerLayout = endpointHeader.field("headerType.layout");
export const multiFunction = endpointHeader.field("headerType.multiFunction");
export const interruptLine = endpointHeader.register("interruptLine");
export const interruptPin = endpointHeader.register("interruptPin");

/** The numbers that say which device it is. */
export const identity = {
  vendorId: endpointHeader.register("vendorId"),
  deviceId: endpointHeader.register("deviceId"),
  subsystemVendorId: endpointHeader.register("subsystemVendorId"),
  subsystemId: endpointHeader.register("subsystemId"),
} as const;

export const classCode = {
  base: endpointHeader.register("baseClass"),
  subclass: endpointHeader.register("subclass"),
} as const;

/** By region index. */
export const barRegisters = (["bar0", "bar1", "bar2", "bar3", "bar4", "bar5"] as const).map((name) =>
  endpointHeader.register(name),
);
export const romRegister = endpointHeader.register("rom");
export const romEnable = endpointHeader.field("rom.enable");
export const romAddress = endpointHeader.field("rom.address");
