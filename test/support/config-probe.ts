import { RecordedDevice } from "../../src/device/backends/recorded/recorded-device.ts";
import { syntheticImage, type SyntheticDevice } from "./synthetic-image.ts";

/** A device with config accesses as numbers. */
export class ConfigProbe extends RecordedDevice {
  constructor(device: SyntheticDevice) {
    super(syntheticImage(device));
  }
  get(offset: number, width = 4): number {
    const data = new Uint8Array(new ArrayBuffer(width));
    this.read(7, offset, data);
    return data.reduceRight((value, byte) => value * 256 + byte, 0);
  }
  put(offset: number, width: number, value: number): void {
    const data = new Uint8Array(new ArrayBuffer(width));
    for (let i = 0; i < width; i++) data[i] = Math.floor(value / 2 ** (8 * i)) % 256;
    this.write(7, offset, data);
  }
}
/** The code of the error that is thrown. */
export const codeOf = (act: () => void): unknown => {
  try {
    act();
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return "no error";
};
