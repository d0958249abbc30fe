// General registers, EEPROM and flash: 10.2.2.
import {
  alias,
  hex,
  joinedBig,
  r32,
  reset,
  ro,
  rsvdz,
  rw,
  rw0c,
  rw1c,
  rwsc,
  volatile,
  wo,
} from "bun-vfio/regs";

const speeds = ["10Mb/s", "100Mb/s", "1000Mb/s", "1000Mb/s (11)"] as const;
/** A command to the EEPROM or flash, with its data in the same register. */
const nvmCommand = (at: number) =>
  volatile(r32(at, { start: wo(0), done: ro(1), address: rw(15, 2), data: hex(rw(31, 16)) }));

export const general = {
  /** Device Control, 10.2.2.1. */
  control: r32(0x0000, {
    fullDuplex: reset(true, rw(0)),
    /** A 1 stops new requests of the device's as bus master. */
    masterDisable: rw(2),
    autoSpeedDetect: rw(5),
    /** Without it the physical layer is ignored. */
    setLinkUp: rw(6),
    speed: reset("1000Mb/s", rw(9, 8, speeds)),
    forceSpeed: rw(11),
    forceDuplex: rw(12),
    d3ColdWakeUp: rw(20),
    /** Starts a reset of all but the physical layer, and goes back to 0 by itself. */
    reset: rwsc(26),
    receiveFlowControl: rw(27),
    transmitFlowControl: rw(28),
    vlanMode: rw(30),
    phyReset: rw(31),
  }),
  /** Another place of the same register, 10.2.2.1. */
  controlAgain: alias("control", r32(0x0004, { reset: rwsc(26), phyReset: rw(31) })),
  /** Device Status, 10.2.2.2. */
  status: volatile(
    r32(0x0008, {
      fullDuplex: ro(0),
      linkUp: ro(1),
      transmitPaused: ro(4),
      speed: ro(7, 6, speeds),
      autoSpeedDetected: ro(9, 8, speeds),
      /** 0 to clear: the physical layer was reset. */
      phyResetAsserted: rw0c(10),
      masterEnable: ro(19),
    }),
  ),
  /** Extended Device Control, 10.2.2.5. */
  extendedControl: r32(0x0018, {
    autoSpeedBypass: rw(15),
    linkMode: rw(23, 22, { copper: 0, reserved1: 1, reserved2: 2, SerDes: 3 }),
    clearTimersOnRead: rw(27),
    driverLoaded: rw(28),
    pbaClear: rw(31),
  }),
  /** MDI Control, 10.2.2.7: one register of the physical layer, read or written. */
  mdi: volatile(
    r32(0x0020, {
      data: hex(rw(15, 0)),
      register: rw(20, 16),
      phy: rw(25, 21),
      operation: rw(27, 26, { write: 1, read: 2 }),
      ready: rw(28),
      interruptEnable: rw(29),
      error: rw1c(30),
      // Reserved: software writes 0.
      top: rsvdz(31),
    }),
  ),
  flowControlAddressLow: reset(0x00c2_8001, hex(r32(0x0028, "rw"))),
  flowControlAddressHigh: reset(0x0100, hex(r32(0x002c, "rw"))),
  flowControlType: reset(0x8808, hex(r32(0x0030, "rw"))),
  flowControlAddress: joinedBig(["flowControlAddressHigh", "flowControlAddressLow"], { hex: true }),
  vlanEtherType: reset(0x8100, hex(r32(0x0038, "rw"))),
  flowControlTimer: r32(0x0170, { value: rw(15, 0) }),
  flowControlRefresh: r32(0x5f40, { threshold: rw(15, 0) }),
  ledControl: reset(0x0706_8302, hex(r32(0x0e00, "rw"))),
  extendedConfiguration: volatile(
    r32(0x0f00, {
      phyWriteEnable: rw(0),
      ownedBySoftware: rw(5),
      ownedByHardware: ro(6),
      pointer: rw(27, 16),
    }),
  ),
  extendedConfigurationSize: r32(0x0f08, { phyLength: rw(23, 16), dock: rw(31, 24) }),
  /** What the physical layer does in low power, 10.2.2.15. */
  phyLowPower: r32(0x0f10, { lowPowerInD0: rw(1), lowPowerLinkUp: rw(2), gigabitDisable: rw(6) }),
  /** How much of the packet buffer each side has, in KiB. */
  packetBuffer: r32(0x1000, { receive: rw(15, 0), transmit: ro(31, 16) }),
  packetBufferSize: r32(0x1008, { kilobytes: rw(15, 0) }),
  packetBufferEcc: volatile(
    r32(0x1100, { corrected: ro(7, 0), uncorrectable: ro(15, 8), enable: rw(16), clear: rwsc(17) }),
  ),

  /** EEPROM Control, 10.2.2.3: the wires of the chip, one bit each. */
  eepromControl: r32(0x0010, {
    clock: rw(0),
    chipSelect: rw(1),
    dataIn: rw(2),
    dataOut: ro(3),
    request: rw(6),
    grant: volatile(ro(7)),
    present: ro(8),
    autoReadDone: volatile(ro(9)),
  }),
  /** EEPROM Read, 10.2.2.4. */
  eepromRead: volatile(r32(0x0014, { start: wo(0), done: ro(1), address: rw(15, 2), data: hex(ro(31, 16)) })),
  eepromWrite: nvmCommand(0x102c),
  /** Flash Access, 10.2.2.6: the wires of the chip. */
  flashAccess: r32(0x001c, {
    clock: rw(0),
    chipSelect: rw(1),
    dataIn: rw(2),
    dataOut: ro(3),
    request: rw(4),
    grant: volatile(ro(5)),
    busy: volatile(ro(30)),
    erase: rwsc(31),
  }),
  /** As firmware reaches EEPROM and flash. */
  managementEeprom: volatile(r32(0x1010, { address: rw(14, 0), start: wo(15), write: rw(16), done: ro(31) })),
  managementEepromData: r32(0x1014, { write: wo(15, 0), read: ro(31, 16) }),
  managementFlash: volatile(
    r32(0x1018, { address: rw(23, 0), command: rw(25, 24), done: ro(30), valid: ro(31) }),
  ),
  managementFlashData: hex(r32(0x101c, "rw")),
  managementFlashCount: r32(0x1020, { bytes: rw(24, 0), abort: wo(31) }),
  eepromArbitration: hex(r32(0x1024, "rw")),
  flashTiming: hex(r32(0x1028, "rw")),
  flashControl: volatile(
    r32(0x1030, { address: rw(23, 0), command: rw(28, 27), valid: rw(29), done: ro(30), failed: ro(31) }),
  ),
  flashData: hex(r32(0x1034, "rw")),
  flashCount: r32(0x1038, { bytes: rw(23, 0), abort: wo(31) }),
  flashOpcode: r32(0x103c, { suspend: rw(7, 0), resume: rw(15, 8) }),
  flashOpcodeLoad: volatile(r32(0x1050, { erase: ro(7, 0), loaded: ro(31) })),
} as const;
