import { expectError, expectType } from "tsd";
import type { Container, DmaBuffer, DmaEntry, DmaMap, GuestRam, Ioas, KernelDevice } from "../src/index.ts";

declare const device: KernelDevice;
declare const container: Container;
declare const ioas: Ioas;
declare const ram: GuestRam;

// A device or a container may have no IOMMU; an IOAS always is one.
expectType<DmaMap | undefined>(device.dma);
expectType<DmaMap | undefined>(container.dma);
expectType<DmaMap>(ioas.dma);

expectType<DmaBuffer>(ioas.dma.allocate(4096, { alignment: 65536, below: 2 ** 32, label: "queue" }));
expectType<Disposable>(ioas.dma.map({ iova: 0n, size: 4096, hva: 0x7f00_0000_0000n }));
expectType<Disposable>(ram.mapFor(ioas.dma));
expectType<readonly DmaEntry[]>(ioas.dma.mappings);

// Nothing that is there can be changed behind the table's back.
const buffer = ioas.dma.allocate(4096);
expectType<number>(buffer.iova);
expectType<Uint8Array<ArrayBuffer>>(buffer.bytes);
expectError((buffer.iova = 0));
expectError(ioas.dma.mappings.pop());
expectError(ioas.dma.allocate("4096"));
expectError(ioas.dma.allocate(4096, { align: 65536 }));
expectError(ioas.dma.map({ iova: 0, size: 4096 }));
