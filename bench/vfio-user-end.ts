// One end of a measured connection, as a process: what peers/vfio-user.c does, with its words and its output.
//   bun bench/vfio-user-end.ts server SOCKET | client SOCKET read|write|posted N | client SOCKET dmamap MIB N
import { MemoryFile } from "bun-vfio/ffi";
import { connectDevice, serveDeviceBlocking } from "bun-vfio/vfio-user";
import makeDevice from "./vfio-user-device.ts";

const [role, socket = "", mode = "", ...numbers] = process.argv.slice(2);
const offset = 0x800;
/** Nanoseconds; `Bun.nanoseconds` takes 95 of them, this 4. */
const now = (): number => performance.now() * 1e6;

function report(what: string, times: Float64Array, mean: number): void {
  const sorted = times.toSorted();
  const at = (index: number): number => Math.round(sorted[index]!);
  const n = times.length;
  console.log(
    `${what} n ${n} p50 ${at(Math.floor(n / 2))} p99 ${at(n - 1 - Math.floor(n / 100))} mean ${Math.round(mean)} calls 0`,
  );
}

function measureAccesses(count: number): void {
  using device = connectDevice(socket, { postedWrites: mode === "posted", timeout: 10_000, keepAlive: true });
  const data = new Uint8Array(new ArrayBuffer(4));
  const times = new Float64Array(count);
  const warm = count < 20_000 ? Math.floor(count / 10) : 2000;
  const access = mode === "read" ? () => device.read(0, offset, data) : () => device.write(0, offset, data);
  let start = 0;
  for (let i = 0; i < count + warm; i++) {
    if (i === warm) {
      if (mode === "posted") device.read(0, offset, data);
      start = now();
    }
    const before = now();
    access();
    if (i >= warm) times[i - warm] = now() - before;
  }
  if (mode === "posted") device.read(0, offset, data);
  report(mode, times, (now() - start) / count);
}

function measureMaps(mib: number, count: number): void {
  using device = connectDevice(socket, { timeout: 10_000, keepAlive: true });
  const size = mib * 2 ** 20;
  using file = new MemoryFile({ size, name: "memory" });
  using memory = file.map();
  const [map, unmap] = [new Float64Array(count), new Float64Array(count)];
  const iova = 2 ** 32;
  const mapping = {
    iova,
    size,
    hva: memory.address,
    readable: true,
    writable: true,
    file: { fd: file.fd, offset: 0 },
  };
  // The IOMMU itself: what `DmaMap` checks besides is no part of the protocol.
  const { iommu } = device.dma;
  for (let i = 0; i < count; i++) {
    const before = now();
    iommu.map(mapping);
    const between = now();
    iommu.unmap(iova, size);
    map[i] = between - before;
    unmap[i] = now() - between;
  }
  const mean = (times: Float64Array): number => times.reduce((sum, one) => sum + one, 0) / count;
  report("map", map, mean(map));
  report("unmap", unmap, mean(unmap));
}

if (role === "server")
  serveDeviceBlocking(makeDevice, { socket, clients: 1, onListening: () => console.log("listening") });
else if (mode === "dmamap") measureMaps(Number(numbers[0]), Number(numbers[1]));
else measureAccesses(Number(numbers[0]));
process.exit(0);
