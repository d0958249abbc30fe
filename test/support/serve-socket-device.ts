// A server of the socket device, as a process of its own: `bun serve-socket-device.ts SOCKET`. It says "listening", and serves
// until it is ended.
import { serveDeviceBlocking } from "../../src/device/vfio-user/index.ts";
import makeDevice from "./socket-device.ts";

serveDeviceBlocking(makeDevice, { socket: process.argv[2]!, onListening: () => console.log("listening") });
