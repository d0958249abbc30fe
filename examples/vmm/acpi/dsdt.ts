// What the machine has that cannot be discovered otherwise, as a tree of devices with methods: the DSDT.
import { gsi, gsiOf, lastSlot, memory, ports } from "../layout.ts";
import * as aml from "./aml.ts";

/** `_S5`: what is to be written as the sleep type to turn the machine off. */
export const powerOff = 5;

/** Notifications of a slot: its device is wanted back. */
const ejectRequest = 3;

const slots = Array.from({ length: lastSlot }, (_, i) => i + 1);
const slotName = (slot: number): string => `S${slot.toString(16).toUpperCase().padStart(2, "0")}`;
const pins = [1, 2, 3, 4];

/** Address of a function in `_ADR` and `_PRT`: device << 16 | function, 0xffff for all of them. */
const address = (slot: number, fn = 0): number => slot * 0x10000 + fn;

/** `_PRT`: which pin of the IOAPIC each interrupt pin of each slot is wired to. */
const routing = (): aml.Aml =>
  aml.packageOf(
    ...slots.flatMap((slot) =>
      pins.map((pin) => aml.packageOf(address(slot, 0xffff), pin - 1, 0, gsiOf(slot, pin))),
    ),
  );

/** The slots that can be emptied: `_EJ0` writes the slot's bit to where `Hotplug` sees it. */
const slotDevices = (): aml.Aml[] =>
  slots.map((slot) =>
    aml.device(
      slotName(slot),
      aml.name("_ADR", address(slot)),
      aml.name("_SUN", slot),
      aml.method("_EJ0", 1, true, aml.store(2 ** slot, aml.nameOf("\\_SB.PCEJ"))),
    ),
  );

const hostBridge = (): aml.Aml =>
  aml.device(
    "PCI0",
    aml.name("_HID", aml.eisaId("PNP0A08")),
    aml.name("_CID", aml.eisaId("PNP0A03")),
    aml.name("_SEG", 0),
    aml.name("_BBN", 0),
    aml.name("_UID", 0),
    aml.name(
      "_CRS",
      aml.resources(
        aml.buses(0, 1),
        aml.fixedPorts(ports.config.base, ports.config.size),
        aml.portWindow(ports.bars.base, ports.bars.size),
        aml.memoryWindow32(memory.mmio32.base, memory.mmio32.size),
        aml.memoryWindow64(memory.mmio64.base, memory.mmio64.size),
      ),
    ),
    aml.name("_PRT", routing()),
    ...slotDevices(),
  );

/** Keeps everybody's hands off config space; without it Linux does not use ECAM. */
const motherboard = (): aml.Aml =>
  aml.device(
    "MBRD",
    aml.name("_HID", aml.eisaId("PNP0C02")),
    aml.name("_UID", 0),
    aml.name("_CRS", aml.resources(aml.fixedMemory(memory.ecam.base, memory.ecam.size))),
  );

const serialPort = (): aml.Aml =>
  aml.device(
    "COM1",
    aml.name("_HID", aml.eisaId("PNP0501")),
    aml.name("_UID", 1),
    aml.name(
      "_CRS",
      aml.resources(aml.fixedPorts(ports.serial.base, ports.serial.size), aml.interrupt(gsi.serial)),
    ),
  );

const clock = (): aml.Aml =>
  aml.device(
    "RTC",
    aml.name("_HID", aml.eisaId("PNP0B00")),
    aml.name("_CRS", aml.resources(aml.fixedPorts(ports.rtc.base, ports.rtc.size))),
  );

/** The generic event device: its interrupt says that somebody wants a slot's device back, its method asks which. */
const events = (): aml.Aml =>
  aml.device(
    "GED",
    aml.name("_HID", "ACPI0013"),
    aml.name("_CRS", aml.resources(aml.interrupt(gsi.hotplug))),
    aml.method(
      "_EVT",
      1,
      true,
      aml.store(aml.nameOf("\\_SB.PCRQ"), aml.local(0)),
      ...slots.map((slot) =>
        aml.when(aml.and(aml.local(0), 2 ** slot), aml.notify(`\\_SB.PCI0.${slotName(slot)}`, ejectRequest)),
      ),
    ),
  );

/** The body of the table. */
export const dsdtBody = (): aml.Aml => [
  ...aml.scope(
    "\\_SB",
    // Read: the slots whose devices are wanted back. Written: the slots whose devices are let go.
    aml.portFields("HPRG", ports.hotplug.base, "PCRQ", "PCEJ"),
    hostBridge(),
    motherboard(),
    serialPort(),
    clock(),
    events(),
  ),
  ...aml.name("\\_S5", aml.packageOf(powerOff, 0, 0, 0)),
];
