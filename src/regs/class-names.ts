// Names of classes of devices, PCI Code and ID Assignment Specification 1.15, chapter 1.

/** By base class; the names of its subclasses by their number, where they say more. */
const classes: Readonly<
  Record<number, readonly [name: string, subclasses: Readonly<Record<number, string>>]>
> = {
  0x00: ["Unclassified device", { 0x01: "VGA-compatible unclassified device", 0x05: "Image coprocessor" }],
  0x01: [
    "Mass storage controller",
    {
      0x00: "SCSI storage controller",
      0x01: "IDE interface",
      0x02: "Floppy disk controller",
      0x03: "IPI bus controller",
      0x04: "RAID bus controller",
      0x05: "ATA controller",
      0x06: "SATA controller",
      0x07: "Serial Attached SCSI controller",
      0x08: "Non-Volatile memory controller",
      0x09: "Universal Flash Storage controller",
    },
  ],
  0x02: [
    "Network controller",
    {
      0x00: "Ethernet controller",
      0x01: "Token ring network controller",
      0x02: "FDDI network controller",
      0x03: "ATM network controller",
      0x04: "ISDN controller",
      0x05: "WorldFip controller",
      0x06: "PICMG controller",
      0x07: "InfiniBand controller",
      0x08: "Fabric controller",
    },
  ],
  0x03: [
    "Display controller",
    { 0x00: "VGA compatible controller", 0x01: "XGA compatible controller", 0x02: "3D controller" },
  ],
  0x04: [
    "Multimedia controller",
    {
      0x00: "Multimedia video controller",
      0x01: "Multimedia audio controller",
      0x02: "Computer telephony device",
      0x03: "High Definition Audio controller",
    },
  ],
  0x05: ["Memory controller", { 0x00: "RAM memory", 0x01: "FLASH memory", 0x02: "CXL memory device" }],
  0x06: [
    "Bridge",
    {
      0x00: "Host bridge",
      0x01: "ISA bridge",
      0x02: "EISA bridge",
      0x03: "MicroChannel bridge",
      0x04: "PCI bridge",
      0x05: "PCMCIA bridge",
      0x06: "NuBus bridge",
      0x07: "CardBus bridge",
      0x08: "RACEway bridge",
      0x09: "Semi-transparent PCI-to-PCI bridge",
      0x0a: "InfiniBand to PCI host bridge",
      0x0b: "Advanced Switching bridge",
    },
  ],
  0x07: [
    "Communication controller",
    {
      0x00: "Serial controller",
      0x01: "Parallel controller",
      0x02: "Multiport serial controller",
      0x03: "Modem",
      0x04: "GPIB controller",
      0x05: "Smart card controller",
    },
  ],
  0x08: [
    "System peripheral",
    {
      0x00: "Interrupt controller",
      0x01: "DMA controller",
      0x02: "System timer",
      0x03: "Real-time clock",
      0x04: "PCI hot-plug controller",
      0x05: "SD host controller",
      0x06: "IOMMU",
      0x07: "Root Complex Event Collector",
      0x08: "Timing card",
    },
  ],
  0x09: [
    "Input device",
    {
      0x00: "Keyboard controller",
      0x01: "Digitizer",
      0x02: "Mouse controller",
      0x03: "Scanner controller",
      0x04: "Gameport controller",
    },
  ],
  0x0a: ["Docking station", {}],
  0x0b: ["Processor", { 0x40: "Coprocessor" }],
  0x0c: [
    "Serial bus controller",
    {
      0x00: "IEEE 1394 controller",
      0x01: "ACCESS.bus controller",
      0x02: "SSA controller",
      0x03: "USB controller",
      0x04: "Fibre Channel controller",
      0x05: "SMBus controller",
      0x06: "InfiniBand controller",
      0x07: "IPMI interface",
      0x08: "SERCOS interface",
      0x09: "CANbus controller",
      0x0a: "I3C host controller",
    },
  ],
  0x0d: [
    "Wireless controller",
    {
      0x00: "IrDA controller",
      0x01: "Consumer infrared or UWB controller",
      0x10: "RF controller",
      0x11: "Bluetooth controller",
      0x12: "Broadband controller",
      0x20: "802.11a controller",
      0x21: "802.11b controller",
      0x40: "Cellular modem",
      0x41: "Cellular modem with Ethernet",
    },
  ],
  0x0e: ["Intelligent controller", { 0x00: "I2O controller" }],
  0x0f: [
    "Satellite controller",
    {
      0x01: "Satellite TV controller",
      0x02: "Satellite audio controller",
      0x03: "Satellite voice controller",
      0x04: "Satellite data controller",
    },
  ],
  0x10: [
    "Encryption controller",
    { 0x00: "Network encryption device", 0x10: "Entertainment encryption device" },
  ],
  0x11: [
    "Signal processing controller",
    {
      0x00: "DPIO module",
      0x01: "Performance counters",
      0x10: "Communication synchronizer",
      0x20: "Signal processing management card",
    },
  ],
  0x12: ["Processing accelerator", { 0x01: "SDXI controller" }],
  0x13: ["Non-essential instrumentation", {}],
  0x40: ["Coprocessor", {}],
  0xff: ["Unassigned class", {}],
};

/** The name of a device class. @param base 0 to 255 @param subclass 0 to 255; one without a name has that of its base class */
export function classNameOf(base: number, subclass: number): string {
  const [name, subclasses] = classes[base] ?? ["Reserved class", {}];
  return (subclasses as Readonly<Record<number, string>>)[subclass] ?? name;
}
