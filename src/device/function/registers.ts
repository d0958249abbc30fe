// Registers and fields of capabilities that vfio-pci itself looks at or changes: taken from their maps once.
import {
  advancedFeaturesCapability,
  expressCapability,
  msi32,
  msixCapability,
  powerManagementCapability,
} from "../../regs/index.ts";

const pm = powerManagementCapability;
export const powerState = pm.field("control.powerState");
export const noSoftReset = pm.field("control.noSoftReset");
/** Whether a function has a power state that it may be without, by the state's number. */
export const hasPowerState = [undefined, pm.field("capabilities.d1"), pm.field("capabilities.d2")] as const;
/** The number of the last state. */
export const d3hot: number = powerState.bits(powerState.mask);

export const deviceControl = expressCapability.register("deviceControl");
export const functionReset = expressCapability.field("deviceControl.functionLevelReset");
export const resetCapable = expressCapability.field("deviceCapabilities.functionLevelReset");
export const maxPayload = expressCapability.field("deviceControl.maxPayload");
export const maxReadRequest = expressCapability.field("deviceControl.maxReadRequest");

const af = advancedFeaturesCapability;
export const initiateReset = af.field("control.initiateReset");
/** Without the second the kernel offers no reset. */
export const resetSupport = [
  af.field("capabilities.functionLevelReset"),
  af.field("capabilities.transactionsPending"),
] as const;

// The same in all layouts of MSI.
export const msiControl = msi32.register("control");
export const msiEnable = msi32.field("control.enable");
export const msiCapable = msi32.field("control.multipleMessageCapable");
export const msiCount = msi32.field("control.multipleMessageEnable");
export const address64Bit = msi32.field("control.address64Bit");
export const perVectorMasking = msi32.field("control.perVectorMasking");
export const msixEnable = msixCapability.field("control.enable");
export const functionMask = msixCapability.field("control.functionMask");
