import { expectAssignable, expectError, expectType } from "tsd";
import type { Platform } from "../src/index.ts";
import {
  type AccessHandlers,
  KvmPlatform,
  runLoop,
  type RunEnd,
  TrapBus,
  type Vcpu,
  VcpuControl,
  type VirtualMachine,
} from "../src/kvm/index.ts";
import { getRegs, setRegs, setSregs } from "../src/ffi/index.ts";
import type { VfioPciDevice } from "../src/index.ts";

declare const machine: VirtualMachine;
declare const vcpu: Vcpu;
declare const platform: KvmPlatform;
declare const device: VfioPciDevice;

expectAssignable<Platform>(platform);

// A bus is what a run loop hands accesses to, and an attached device what a part of the bus does.
const bus = new TrapBus();
expectAssignable<AccessHandlers>(bus);
bus.forDevice("edu").device = device;
expectType<RunEnd>(runLoop(vcpu, bus));
expectError(runLoop(vcpu, { ioRead: () => {} }));

// Registers go back by the request that they came from.
const registers = getRegs(vcpu.fd);
expectType<bigint>(registers.rip);
setRegs(vcpu.fd, registers);
expectError(setSregs(vcpu.fd, registers));
expectError((registers.rip = 0));

// Capabilities and kinds of chips have names.
expectType<number>(machine.extension("IRQFD_RESAMPLE"));
expectError(machine.extension("IRQFD_RESMPLE"));
expectType<"kernel" | "split">(machine.irqchip);
expectError(new KvmPlatform(machine, { bus: bus.forDevice("edu") }));
expectError(new VcpuControl(new ArrayBuffer(16)));
