import { expect } from "bun:test";
import { layoutOf } from "../../src/regs/layout.ts";
import { oracleTest, runLspci } from "../support/lspci.ts";
import { seededRandom } from "../support/random.ts";
import { compareConfig } from "./compare.ts";
import { standardRules } from "./standard-rules.ts";
import { capabilityAt, standardKinds, synthesize } from "./synthetic.ts";

// Fields that lspci does not print: they are held against the specification alone.
const notPrinted = [
  "AF.length", "AGP3.revision", "HT interrupt.data", "HT interrupt.index",
  // lspci prints the upper half of these as clear, whatever it is.
  ...["primary.frequencyCapability0", "primary.frequencyCapability1", "secondary.frequencyCapability"].flatMap(
    (register) => ["mhz1400", "mhz1600", "vendor"].map((field) => `HT ${register}.${field}`),
  ),
  "HT primary.scratchpad", "HT secondary.scratchpad",
  "HotPlug.data", "HotPlug.dwordSelect", "HotPlug.pending.interrupt", "HotPlug.pending.serr",
  "MSI.control.extendedDataCapable", "MSI.control.extendedDataEnable", "MSI.extendedData",
  "PCI-X.command.version",
  "PCI-X.eccAttribute", "PCI-X.eccControl", "PCI-X.eccFirstAddress", "PCI-X.eccSecondAddress",
  "PCIe.deviceCapabilities.errCorSubclass", "PCIe.deviceStatus.emergencyPowerReduction",
  "PCIe.deviceControl2.emergencyPowerReduction", "PCIe.deviceControl2.endToEndPrefixBlocking",
  "PCIe.deviceControl2.idoCompletion", "PCIe.deviceControl2.idoRequest", "PCIe.deviceStatus2",
  // Newer than pciutils 3.9, or than any.
  "PCIe.deviceCapabilities.mixedMps", "PCIe.deviceCapabilities.rxMpsFixed", "PCIe.deviceCapabilities.teeIo",
  "PCIe.deviceCapabilities2.deferrableWriteCompleter", "PCIe.deviceCapabilities2.deferrableWriteLengths",
  "PCIe.flags.flitMode", "PCIe.linkControl.flitModeDisable", "PCIe.linkControl.srisClocking", "PCIe.rootControl.noNonFlitBelow",
  "PCIe.slotControl.inBandPresenceDisable", "PCIe.slotControl2",
  "PCIe.linkCapabilities2.lowerSkpGeneration", "PCIe.linkCapabilities2.lowerSkpReception",
  "PCIe.linkControl.drsSignaling", "PCIe.linkControl.retrain", "PCIe.linkStatus2.flitMode",
  "PCIe.reservedSlot", "PCIe.reservedSlot2",
  "PCIe.slotCapabilities2.inBandPresenceDisable",
  "PCIe.slotControl.autoPowerLimitDisable", "PCIe.slotStatus2",
  "PM.capabilities.immediateReadiness", "PM.data",
  "SATA.data", "SATA.index",
  "VPD.address.address", "VPD.address.flag", "VPD.data",
  "virtio.data", "virtio.offsetHigh", "virtio.sizeHigh", "virtio.structureId",
]; // prettier-ignore

oracleTest(
  "a change of any field of any standard capability is noticed, unless lspci does not print the field",
  () => {
    const unnoticed = new Set<string>();
    const noticed = new Set<string>();
    const options = { which: "standard", rules: standardRules } as const;
    for (const kind of standardKinds) {
      const random = seededRandom(kind.id);
      const configs = Array.from({ length: 12 }, () => synthesize(kind, random));
      for (const [index, device] of runLspci(configs).entries()) {
        const config = configs[index]!;
        const { map } = layoutOf(config).capabilities[0]!;
        for (const [name, { at, width, fields }] of Object.entries(map.registers)) {
          if (name === "id" || name === "next") continue;
          const whole = [["", { lo: 0, hi: width - 1 }]] as const;
          const parts = Object.keys(fields).length > 0 ? Object.entries(fields) : whole;
          for (const [field, { lo, hi }] of parts) {
            const key = `${map.name}.${name}${field && `.${field}`}`;
            for (let bit = lo; bit <= Math.min(hi, lo + 2) && !noticed.has(key); bit++) {
              const changed = config.slice();
              changed[capabilityAt + at + (bit >> 3)]! ^= 1 << (bit & 7);
              (compareConfig(changed, device, options).length > 0 ? noticed : unnoticed).add(key);
            }
          }
        }
      }
    }
    expect([...unnoticed].filter((key) => !noticed.has(key)).sort()).toEqual([...notPrinted].sort());
    expect(noticed.size).toBeGreaterThan(480);
  },
);
