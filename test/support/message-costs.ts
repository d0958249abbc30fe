// What a message costs one end: bytes of JavaScript's heap and system calls of the library, printed as JSON. The other end is in
// another thread, whose heap and calls are its own. `BUN_JSC_useGC=0 bun message-costs.ts server|loop|client N SOCKET`
import { heapStats } from "bun:jsc";
import { connectDevice, serveDevice, serveDeviceBlocking } from "../../src/device/vfio-user/index.ts";
import { traceSyscalls } from "../../src/ffi/index.ts";
import makeDevice from "../../bench/vfio-user-device.ts";

const warm = 30_000;
/** Of which system calls are counted, in a run of their own. */
const counted = 1000;
/** The client tells the server by these which part of the run comes. */
const mark = { offset: 0x900, warm: 1, heap: 2, calls: 3, end: 4 } as const;

interface Told {
  readonly role: string;
  readonly count: number;
  readonly socket: string;
}

/** A client's run. @param measure called at the beginning of each part */
function drive({ socket, count }: Told, measure: (part: number) => void): void {
  using device = connectDevice(socket, { timeout: 60_000, keepAlive: true });
  const data = new Uint8Array(new ArrayBuffer(4));
  const tell = (part: number): void => {
    device.write(0, mark.offset, Uint8Array.of(part, 0, 0, 0));
    measure(part);
  };
  for (const [part, times] of [
    [mark.warm, warm],
    [mark.heap, count],
    [mark.calls, counted],
  ] as const) {
    tell(part);
    for (let i = 0; i < times / 2; i++) {
      device.read(0, 0x800, data);
      device.write(0, 0x800, data);
    }
  }
  tell(mark.end);
}

/** Takes the figures of this thread as parts begin. */
class Meter {
  #heap = 0;
  #bytes = 0;
  #calls = 0;
  #trace: Disposable | undefined;

  readonly measure = (part: number): void => {
    const { heapCapacity } = heapStats();
    if (part === mark.heap) this.#heap = heapCapacity;
    if (part === mark.calls) {
      this.#bytes = heapCapacity - this.#heap;
      this.#trace = traceSyscalls(() => void this.#calls++);
    }
    if (part === mark.end) this.#trace?.[Symbol.dispose]();
  };

  print(count: number): void {
    console.log(JSON.stringify({ bytes: this.#bytes / count, calls: this.#calls / counted }));
  }
}

if (Bun.isMainThread) {
  const [role = "", count = "", socket = ""] = process.argv.slice(2);
  const told: Told = { role, count: Number(count), socket };
  const other = new Worker(import.meta.url);
  const meter = new Meter();
  const device = makeDevice();
  const { write } = device;
  device.write = (region, offset, data) => {
    write(region, offset, data);
    if (offset === mark.offset) meter.measure(data[0]!);
  };
  if (role === "client") {
    const ready = Promise.withResolvers<void>();
    other.addEventListener("message", () => ready.resolve());
    other.postMessage(told);
    await ready.promise;
    drive(told, meter.measure);
  } else if (role === "server")
    serveDeviceBlocking(device, { socket, clients: 1, onListening: () => other.postMessage(told) });
  else {
    const left = Promise.withResolvers<void>();
    await using server = serveDevice(device, {
      socket,
      onEvent: ({ kind }) => kind === "client-left" && left.resolve(),
    });
    await server.ready;
    other.postMessage(told);
    await left.promise;
  }
  meter.print(told.count);
  process.exit(0);
} else
  globalThis.addEventListener("message", (event) => {
    const told = (event as MessageEvent<Told>).data;
    if (told.role === "client")
      serveDeviceBlocking(makeDevice, {
        socket: told.socket,
        clients: 1,
        onListening: () => postMessage("ready"),
      });
    else drive(told, () => {});
  });
