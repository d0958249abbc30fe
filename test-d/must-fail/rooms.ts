import type { FunctionHardware } from "../../src/device/function/hardware.ts";
import type { Permission } from "../../src/device/function/permissions.ts";
import type { ConfigSpace } from "../../src/device/passthrough/config/config-space.ts";
import { emulateRegister, type ConfigTables } from "../../src/device/passthrough/config/config-tables.ts";
import { offsetOf } from "../../src/device/pci/config-offset.ts";
import { physicalGeometry } from "../../src/device/pci/msix-geometry.ts";

// A register's number stands in its map alone: nothing on the device floor takes a bare one. Each line below is wrong.
declare const config: ConfigSpace;
declare const tables: ConfigTables;
declare const hardware: FunctionHardware;
config.read(0x04, 2);
config.forward(0x04, 2, 0);
config.readRegister(0x04);
emulateRegister(tables, 0x10, { value: 0 });
offsetOf(0x34);
physicalGeometry(new Uint8Array(256), 0x40);
hardware.write(0x04, Uint8Array.of(0, 0));
export const row: Permission = { register: 0x04, virtual: 0, write: 0xffff };
