// A device of the page's data, its bytes decoded once.
import { layoutOf, type ConfigLayout } from "../../regs/layout.ts";
import type { ByteTables } from "../byte-owner.ts";
import type { DeviceData } from "../page-data.ts";
import { registersByByte, type PlacedRegister } from "../register-at.ts";

export interface DeviceModel {
  readonly data: DeviceData;
  /** As the device has it. */
  readonly config: Uint8Array;
  /** As the guest reads it after an attach; undefined where it cannot be attached. */
  readonly guest: Uint8Array | undefined;
  readonly tables: ByteTables | undefined;
  readonly layout: ConfigLayout;
  readonly registers: readonly (PlacedRegister | undefined)[];
}

export function deviceModel(data: DeviceData): DeviceModel {
  const bytes = (hex: string): Uint8Array => Uint8Array.fromHex(hex);
  const config = bytes(data.config);
  const layout = layoutOf(config);
  const { guest } = data;
  return {
    data,
    config,
    guest: guest && bytes(guest.shadow),
    tables: guest && {
      emulated: bytes(guest.emulated),
      write: bytes(guest.write),
      clear: bytes(guest.clear),
      source: bytes(guest.source),
      effects: bytes(guest.effects),
      patches: guest.patches,
    },
    layout,
    registers: registersByByte(layout, config.length),
  };
}

/** Whether nobody could read a byte. */
export const isUnknown = ({ data }: DeviceModel, at: number): boolean =>
  data.unknown.some(({ offset, size }) => offset <= at && at < offset + size);
