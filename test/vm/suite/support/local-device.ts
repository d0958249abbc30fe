// A device that each vCPU's thread answers by itself: a port that reads 1, and counts who reads.
import type { MakeLocalDevices } from "../../../../src/kvm/local-devices.ts";

const devices: MakeLocalDevices = (data) => {
  const asked = new Int32Array(data as SharedArrayBuffer);
  const ioRead = (_port: number, into: Uint8Array): void => {
    Atomics.add(asked, 0, 1);
    into.fill(1);
  };
  return [{ kind: "io", base: 0x30, size: 1, name: "what to add", target: { ioRead } }];
};
export default devices;
