// Config space as text for people, in the style of lspci's flags. Nothing is written here about any register:
// labels, names of values, and hexadecimal come from the maps.
//
// A flag prints as `Name+` or `Name-`; everything else as `Name: value`, parted by commas. A label of the form
// `Section: Name` prints its section once before its names. A value has a unit behind it where its map says one.
import { classNameOf } from "./class-names.ts";
import {
  decodeCapability,
  decodeHeader,
  headerMapOf,
  undescribedOf,
  type DecodedRegister,
} from "./decode.ts";
import { isUnknown, noGaps, type Gaps } from "./gaps.ts";
import { bodyOf, layoutOf } from "./layout.ts";
import { hexOfBits, registerLines, type Verbosity } from "./register-text.ts";

export { registerText, type Verbosity } from "./register-text.ts";

/**
 * Prints a config space image of at most 4096 bytes. Never throws for its content.
 * @param unknown what of it nobody read: registers there are left out
 * @returns lines, each ended by a newline
 */
export function configText(config: Uint8Array, verbosity: Verbosity, unknown: Gaps = noGaps): string {
  const layout = layoutOf(config, unknown);
  const { capabilities, malformations } = layout;
  const header = decodeHeader(layout, config, 2, unknown);
  const lines = [heading(header.registers, header.type)];
  if (verbosity > 0)
    lines.push(...registerLines(headerMapOf(layout), header.registers, config, 0, verbosity, "\t", unknown));
  for (const capability of capabilities) {
    const { id, name, offset, extended, version, map } = capability;
    const place = extended ? `${hexOfBits(offset, 12)} v${version}` : hexOfBits(offset, 8);
    const title = name === "unknown" ? `unknown (ID 0x${hexOfBits(id, extended ? 16 : 8)})` : name;
    lines.push(`\tCapabilities: [${place}] ${title}`);
    if (verbosity === 0) continue;
    const { registers, bytes } = decodeCapability(capability, config, 2, unknown);
    lines.push(...registerLines(map, registers, config, offset, verbosity, "\t\t", unknown));
    if (bytes !== undefined) lines.push(...byteLines(bytes, verbosity, bodyOf(capability)[0], unknown));
  }
  if (verbosity === 2)
    for (const { offset, bytes } of undescribedOf(layout, config, unknown))
      for (const [index, row] of (bytes.match(/.{1,32}/g) ?? []).entries())
        lines.push(`\tUndescribed: [${hexOfBits(offset + 16 * index, 12)}] ${row.match(/../g)!.join(" ")}`);
  for (const { kind, offset, message } of malformations)
    lines.push(`\t${kind === "all-ones" && offset === 0 ? "Does not answer" : "Malformed"}: ${message}`);
  return `${lines.join("\n")}\n`;
}

function heading(registers: { readonly [name: string]: DecodedRegister }, type: string): string {
  const number = (name: string, bits: number): string =>
    registers[name] === undefined ? "?".repeat(bits / 4) : hexOfBits(Number(registers[name]), bits);
  const { baseClass, subclass } = registers;
  const name =
    baseClass === undefined || subclass === undefined
      ? "Unknown class"
      : classNameOf(Number(baseClass), Number(subclass));
  const ids = `${number("vendorId", 16)}:${number("deviceId", 16)}`;
  const classes = `${number("baseClass", 8)}${number("subclass", 8)}`;
  return `${name} [${classes}]: ${ids} (rev ${number("revisionId", 8)}) (prog-if ${number("programmingInterface", 8)}), ${type} header`;
}

/** At most 16 bytes of an undescribed body that begins at byte `from`, or with verbosity 2 all of them. */
function byteLines(bytes: string, verbosity: Verbosity, from: number, unknown: Gaps): string[] {
  const shown = verbosity === 2 ? bytes : bytes.slice(0, 32);
  const rows = shown.match(/.{1,32}/g) ?? [];
  const cut = shown.length < bytes.length ? ` ... (${bytes.length / 2} bytes)` : "";
  return rows.map((row, index) => {
    const words = row
      .match(/../g)!
      .map((byte, at) => (isUnknown(unknown, from + 16 * index + at, 1) ? "??" : byte));
    return `\t\tBytes: ${words.join(" ")}${index === rows.length - 1 ? cut : ""}`;
  });
}
