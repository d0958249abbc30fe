// Two clients, one after the other, in a thread of their own: for a server that blocks this one.
import { connectDevice } from "../../src/device/vfio-user/index.ts";
import { readU32 } from "./raw-peer.ts";

globalThis.addEventListener("message", (event) => {
  const path = (event as MessageEvent<string>).data;
  const ids = [1, 2].map(() => {
    using device = connectDevice(path, { timeout: 10_000, keepAlive: true });
    const id = new Uint8Array(4);
    device.read(0, 0, id);
    return readU32(id, 0);
  });
  postMessage(ids);
});
