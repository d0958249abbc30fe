// What a server's device may reach, as its client knows it: kept from the messages and their answers alone.
import { dmaMap, dmaUnmap, unmapFlag } from "../../../src/device/vfio-user/messages/dma.ts";
import { Command, header, noReply } from "../../../src/device/vfio-user/messages/header.ts";
import type { Heard } from "../../support/speaker.ts";
import type { Utterance } from "./utterances.ts";

/** One map that the server has taken. */
export interface BookedMap {
  readonly iova: number;
  readonly size: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** What lies behind it; undefined for messages. */
  readonly file: { readonly fd: number; readonly offset: number } | undefined;
}

interface Asked {
  readonly command: number;
  readonly view: DataView;
  readonly fd: number | undefined;
}

/** One client's maps. */
export class MapBook {
  readonly #asked = new Map<number, Asked>();
  #maps: BookedMap[] = [];
  /** Whether the book is right: not after a message that the client itself does not understand. */
  isKnown = true;

  /** Takes note of what is said. */
  said({ bytes, fds }: Utterance): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (bytes.length < header.size) return this.#lose();
    const { id, command, size, flags } = header.decode(view, 0);
    if (size !== bytes.length || this.#asked.has(id)) return this.#lose();
    if ((flags & 0xf) !== 0 || (command !== Command.dmaMap && command !== Command.dmaUnmap)) return;
    if ((flags & noReply) !== 0) return this.#lose();
    this.#asked.set(id, { command, view: new DataView(view.buffer, header.size), fd: fds[0] });
  }

  #lose(): void {
    this.isKnown = false;
  }

  /** Takes note of an answer. */
  heard({ id, command, isReply, isError }: Heard): void {
    const asked = this.#asked.get(id);
    if (!asked || !isReply || command !== asked.command) return;
    this.#asked.delete(id);
    if (isError) return;
    if (command === Command.dmaUnmap) return this.#unmap(asked.view);
    const { flags, offset, address: iova, size } = dmaMap.decode(asked.view, 0);
    const file = asked.fd === undefined ? undefined : { fd: asked.fd, offset };
    this.#maps.push({ iova, size, readable: (flags & 1) !== 0, writable: (flags & 2) !== 0, file });
  }

  #unmap(view: DataView): void {
    const { flags, address, size } = dmaUnmap.decode(view, 0);
    this.#maps =
      flags === unmapFlag.all
        ? []
        : this.#maps.filter((map) => map.iova < address || map.iova + map.size > address + size);
  }

  /** The maps that an access needs, in order; undefined where not all of it may be done. */
  allowing(iova: number, size: number, way: "readable" | "writable"): BookedMap[] | undefined {
    const found: BookedMap[] = [];
    for (let at = iova; at < iova + size;) {
      const map = this.#maps.find((one) => at >= one.iova && at < one.iova + one.size);
      if (!map?.[way]) return undefined;
      found.push(map);
      at = map.iova + map.size;
    }
    return found;
  }
}
