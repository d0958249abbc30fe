// What the host's driver had written to MSI when a function was recorded is not what its next user finds.
import { expect, test } from "bun:test";
import { imageFromConfig } from "../../../../src/image/index.ts";
import { MemoryPlatform, RecordedDevice, VfioPciDevice } from "../../../../src/index.ts";

/** A function with two maskable MSI vectors, of which the second was masked when it was recorded. */
function recorded(): RecordedDevice {
  const config = new Uint8Array(256);
  config.set([0x34, 0x12, 0x78, 0x56, 6, 0, 0x10, 0, 0, 0, 0, 2]);
  config[0x34] = 0x40;
  config.set([0x05, 0, 0x03, 0x01, 0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0x02], 0x40);
  return new RecordedDevice(imageFromConfig("0000:01:00.0", config));
}

test("MSI vectors that were masked when the function was recorded are delivered", () => {
  const platform = new MemoryPlatform();
  const backend = recorded();
  const device = VfioPciDevice.attach(backend, platform, {});
  expect(device.configRead(0x4c, 4)).toBe(0);
  device.configWrite(0x44, 4, 0xfee0_0000);
  device.configWrite(0x48, 2, 0x40);
  // Two vectors, enabled.
  device.configWrite(0x42, 2, 0x11);
  backend.raise(1, 0);
  backend.raise(1, 1);
  expect(platform.deliver().map(({ message }) => message.data)).toEqual([0x40, 0x41]);
  device[Symbol.dispose]();
});

test("MSI is as after a reset: no messages, no address, no data, whatever was written when the function was recorded", () => {
  for (const [control, size] of [
    [0x0035, 10],
    [0x00b5, 14],
    [0x0135, 20],
    [0x01b5, 24],
  ] as const) {
    const config = new Uint8Array(256);
    config.set([0x34, 0x12, 0x78, 0x56, 6, 0, 0x10, 0, 0, 0, 0, 2]);
    config[0x34] = 0x40;
    config.fill(0xff, 0x44, 0x40 + size);
    // The pending bits are the device's own.
    if (control & 0x100) config.fill(0, 0x40 + size - 4, 0x40 + size);
    config.set([0x05, 0, control & 0xff, control >>> 8], 0x40);
    using device = new RecordedDevice(imageFromConfig("0000:01:00.0", config));
    const seen = new Uint8Array(size);
    device.read(7, 0x40, seen);
    const expected = new Uint8Array(size);
    expected.set([0x05, 0, control & 0x8e, control >>> 8]);
    // Bytes behind the data are nobody's: they stay as they were recorded.
    if (control & 0x100) expected.set(seen.subarray(size - 10, size - 8), size - 10);
    expect([control, seen]).toEqual([control, expected]);
  }
});
