// Takes out of a recording what names one machine: images get posted. The same number gets the same replacement wherever it
// stands, so that what belongs together still does.
import { layoutOf, type LocatedCapability } from "../regs/layout.ts";
import { capabilityId, extendedCapabilityId } from "../regs/maps/ids.ts";
import { regionName } from "../regs/vfio/regions.ts";
import { redactText } from "./redact-text.ts";
import { knownConfig, type DeviceImage, type ImageUnknowns } from "./image.ts";

/** Registers that hold a number of this one device or machine, by capability. */
const identifying: readonly (readonly [id: number, extended: boolean, registers: readonly string[]])[] = [
  [capabilityId.vpd, false, ["data"]],
  [extendedCapabilityId.serialNumber, true, ["serialNumber"]],
  [extendedCapabilityId.hierarchyId, true, ["data", "guid1", "guid2", "guid3", "guid4", "guid5"]],
];

const keySize = 32;
const macSize = 6;
/** First byte of a MAC address: locally administered, and of one station (IEEE 802, 8.2). */
const localBit = 2;
const groupBit = 1;

/** Replaces numbers; two of the same key give the same, and nobody without the key finds the numbers again. */
export class Redaction {
  readonly #key: Uint8Array;

  /** What it replaces depends on the key alone. @param key random unless given */
  constructor(key: Uint8Array = crypto.getRandomValues(new Uint8Array(keySize))) {
    this.#key = key;
  }

  /** A config space with its serial numbers, the word of VPD that it shows, and the system's GUID replaced. */
  config(config: Uint8Array, unknown?: ImageUnknowns): Uint8Array {
    const redacted = config.slice();
    for (const capability of layoutOf(knownConfig(config, unknown?.config), unknown?.config).capabilities)
      for (const [id, extended, registers] of identifying)
        if (capability.id === id && capability.extended === extended)
          this.#registers(redacted, capability, registers);
    return redacted;
  }

  /** An image without what it holds of regions, with its config space and its notes redacted. */
  image(image: DeviceImage): DeviceImage {
    const left = image.regions.filter(({ contents }) => contents !== undefined);
    const notes = [
      ...(image.host.notes ?? []).map((note) => this.text(note)),
      "redacted: serial numbers, MAC addresses and VPD are replaced",
      ...(left.length > 0
        ? [`redacted: the contents of ${left.map(({ index }) => regionName(index)).join(", ")} are left out`]
        : []),
    ];
    return {
      ...image,
      config: this.config(image.config, image.unknown),
      regions: image.regions.map(({ contents: _, ...region }) => region),
      host: { ...image.host, notes },
    };
  }

  /**
   * A text with the numbers in it replaced that are written as serial numbers, MAC addresses, EUI-64s, GUIDs, UUIDs and World
   * Wide Names are, or that a word says to be one. Rows of a dump, addresses of functions and IDs stay.
   */
  text(text: string): string {
    return redactText(text, {
      mac: (address) => this.#mac(address),
      serial: (number) => this.#serial(number),
      digest: (number, size) => this.#digest(number, size),
    });
  }

  #registers(config: Uint8Array, { offset, map }: LocatedCapability, names: readonly string[]): void {
    const areas = names.flatMap((name) => {
      const register = map.registers[name];
      return register
        ? [{ start: offset + register.at, end: offset + register.at + register.width / 8 }]
        : [];
    });
    const start = Math.min(...areas.map((area) => area.start));
    const end = Math.min(config.length, Math.max(...areas.map((area) => area.end)));
    if (!(start < end)) return;
    const number = config.slice(start, end);
    // All zeros and all ones are no number, but what says that there is none.
    if (number.every((byte) => byte === number[0] && (byte === 0 || byte === 0xff))) return;
    // As it is written, the highest byte first; in config space it stands the other way round.
    config.set(
      number.length === 8 ? this.#serial(number.reverse()).reverse() : this.#digest(number, number.length),
      start,
    );
  }

  /** An EUI-64 that was made of a MAC address, by ff-fe in its middle, is made of the replacement of that. */
  #serial(number: Uint8Array): Uint8Array {
    if (number[3] !== 0xff || (number[4] !== 0xfe && number[4] !== 0xff)) return this.#digest(number, 8);
    const mac = this.#mac(Uint8Array.of(...number.subarray(0, 3), ...number.subarray(5)));
    return Uint8Array.of(...mac.subarray(0, 3), 0xff, number[4], ...mac.subarray(3));
  }

  #mac(mac: Uint8Array): Uint8Array {
    const replaced = this.#digest(mac, macSize);
    replaced[0] = (replaced[0]! | localBit) & ~groupBit;
    return replaced;
  }

  #digest(number: Uint8Array, size = keySize): Uint8Array {
    const digest = new Bun.CryptoHasher("sha256", this.#key).update(number).digest();
    return Uint8Array.from(digest.subarray(0, size));
  }
}
