// Where a text holds numbers of one machine, as tools print them. It is gone through once: what was replaced is not again.

/** What numbers are replaced with, by their kind. */
export interface Replacements {
  /** Of a MAC address, 6 bytes. */
  mac(address: Uint8Array): Uint8Array;
  /** Of an EUI-64, 8 bytes; one that was made of a MAC address is made of its replacement. */
  serial(number: Uint8Array): Uint8Array;
  /** Of anything else. @param size in bytes */
  digest(number: Uint8Array, size: number): Uint8Array;
}

const pair = "[0-9a-f]{2}";
/** Six pairs and more, as of MAC addresses, EUI-64s and the addresses of IP over InfiniBand. */
const pairs = `(?<![\\w:-])${pair}(?<sign>[:-])(?:${pair}\\k<sign>){4,30}${pair}(?![\\w:-])`;
/** The same with blanks, of an address or of an EUI-64 that was made of one; a letter tells it from a list of numbers, its length from a row. */
const blankPairs = `(?<![\\w:-]|\\b${pair}[ \\t]|:\\s{0,9})(?=[\\d ]*[a-f])(?:${pair}(?: ${pair}){5}|${pair} ${pair} ${pair} ff f[ef] ${pair} ${pair} ${pair})(?![\\w:-]|[ \\t]+${pair}\\b)`;
/** Of an interface that is named by its address. */
const interfaceName = "(?<interface>(?<![a-z])enx)(?<interfaceId>[0-9a-f]{12})(?![\\w])";
const dottedMac = "(?<![.\\w])[0-9a-f]{4}\\.[0-9a-f]{4}\\.[0-9a-f]{4}(?![.\\w])";
const uuid = "(?<![\\w-])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\\w-])";
/** Addresses of one link: their second half is made of a MAC address, or of a GUID. */
const linkLocal =
  "(?<![\\w:])fe80:(?::|(?:[0-9a-f]{1,4}:){1,6}:?)(?:[0-9a-f]{1,4}:){0,6}[0-9a-f]{1,4}(?![\\w:])";
/** An IPv6 address of any network whose second half is made of a MAC address (RFC 4291, appendix A). */
const ofMac =
  "(?<net>(?<![\\w:.])(?:[0-9a-f]{1,4}:|:){2,6}?)(?<id1>(?:[0-9a-f]{1,4}:)?)(?<id2>[0-9a-f]{0,2})ff:fe(?<id3>[0-9a-f]{2}):(?<id4>[0-9a-f]{1,4})(?![\\w:])";
/** Names of disks, which end with their serial number. */
const diskName = "(?<disk>by-id/[a-z]+-)(?<diskId>[\\w.:-]+)";
const tagged = "(?<tag>\\b(?:eui|naa|wwn|t10|nvme)[.-](?:0x)?)(?<tagId>[0-9a-f]{16,32})(?![\\w])";
/** A word that says what follows: hexadecimal digits with signs between them, or none. */
const marked =
  "(?<mark>(?<![a-z])(?:(?:[a-z]+[ _-])?(?:guid|gid|wwn|wwid|wwpn|wwnn|eui-?64|eui|nguid|uuid)|mac(?:[ _-]?addr(?:ess)?)?|hwaddr|permaddr|ether)\\s*[:= ]\\s*(?:0x)?)(?<markId>[0-9a-f]{2}(?: [0-9a-f]{2}){5,7}|[0-9a-f](?:[:.-]?[0-9a-f]){11,63})(?![\\w:])";
const serialWord =
  "(?:serial(?:[ _-]?(?:number|num|nr\\.?|no\\.?|short|#))?|s/?n|(?:service|asset)[ _-]?tag)";
/** The value goes on behind a blank as long as words have digits or are of capitals, and are no address. */
const word = "[A-Za-z0-9][\\w./+-]*";
const blankNumber = `${pair}(?:[ :-]${pair}){5,30}(?![\\w:-])`;
const named = `(?<name>(?<![a-z])${serialWord}["']?[\\s.]*[:=|]\\s*["']?)(?<value>${blankNumber}|[^\\s,;"']+)`;
const following = new RegExp(`^(?:[ \\t]+(?=\\S*\\d|[A-Z-]+(?![\\w]))${word}(?![\\w:]))+`);
/** Without a sign in between only what has a digit and is no short word; other words may lead to a verb. */
const verb = "(?:(?:of|for|on|from)(?:\\s+[\\w.:-]+){1,6}?\\s+)?(?:is|was|reads|are|were|being)\\s*:?\\s+";
const spoken = `(?<said>(?<![a-z])(?:${serialWord}(?:\\s+|(?<=#|/n))(?:\\(.{1,20}?\\)\\s*)?(?:${verb})?)["'\`(<]?)(?<saidId>${blankNumber}|(?=[\\w-]*\\d)[a-z0-9][\\w-]{3,}(?![\\w:]|\\.\\w))`;

const numbers = new RegExp(
  [
    named,
    marked,
    spoken,
    ofMac,
    pairs,
    blankPairs,
    dottedMac,
    uuid,
    linkLocal,
    diskName,
    tagged,
    interfaceName,
  ].join("|"),
  "gi",
);
const hexDigits = /[0-9a-f]/gi;

/** A text with its numbers replaced, written as they were. */
export function redactText(text: string, replacements: Replacements): string {
  let redacted = "";
  let done = 0;
  for (let match = next(text, 0); match; match = next(text, done)) {
    const groups = match.groups!;
    const [whole] = match;
    let end = match.index + whole.length;
    let replacement: string;
    if (groups["name"] !== undefined) {
      const tail = following.exec(text.slice(end))?.[0] ?? "";
      end += tail.length;
      const value = groups["value"]! + tail;
      replacement =
        groups["name"] + (isNumber(value) ? asNumber(value, replacements) : asName(value, replacements));
    } else if (groups["said"] !== undefined) {
      const value = groups["saidId"]!;
      replacement =
        groups["said"] + (isNumber(value) ? asNumber(value, replacements) : asName(value, replacements));
    } else if (groups["net"] !== undefined) replacement = groups["net"] + interfaceId(groups, replacements);
    else if (groups["disk"] !== undefined)
      replacement = groups["disk"] + asName(groups["diskId"]!, replacements);
    else {
      const before = groups["mark"] ?? groups["tag"] ?? groups["interface"] ?? "";
      replacement = before + asNumber(whole.slice(before.length), replacements);
    }
    redacted += text.slice(done, match.index) + replacement;
    done = end;
  }
  return redacted + text.slice(done);
}

function next(text: string, from: number): RegExpExecArray | null {
  numbers.lastIndex = from;
  return numbers.exec(text);
}

/** Pairs of digits with signs between them. */
const isNumber = (value: string): boolean => /^[0-9a-f]{2}(?:[ :-][0-9a-f]{2}){5,}$/i.test(value);

/** Of an interface identifier the bit that is set where the address is universal: in a MAC address it is clear. */
const universalBit = 0x02;

/** The second half of an address, made of the replacement of the MAC address that it was made of. */
function interfaceId(groups: Readonly<Record<string, string | undefined>>, { mac }: Replacements): string {
  const four = (name: string, digits = 4): string => groups[name]!.replace(":", "").padStart(digits, "0");
  const address = Uint8Array.fromHex(four("id1") + four("id2", 2) + four("id3", 2) + four("id4"));
  address[0]! ^= universalBit;
  const replaced = mac(address);
  replaced[0]! ^= universalBit;
  const hex = replaced.toHex();
  const short = (digits: string): string => digits.replace(/^0{1,3}/, "");
  // Where zeros were left out, they are in front of it: then it has all of its groups all the same.
  return `${short(hex.slice(0, 4))}:${short(`${hex.slice(4, 6)}ff`)}:fe${hex.slice(6, 8)}:${short(hex.slice(8))}`;
}

/** Hexadecimal digits, with whatever stands between them, replaced digit by digit. */
function asNumber(text: string, { mac, serial, digest }: Replacements): string {
  const digits = (text.match(hexDigits) ?? []).join("").toLowerCase();
  const bytes = Uint8Array.fromHex(digits.length % 2 === 0 ? digits : `0${digits}`);
  const replaced = (
    bytes.length === 6 ? mac(bytes) : bytes.length === 8 ? serial(bytes) : digest(bytes, bytes.length)
  ).toHex();
  const isUpper = /[A-F]/.test(text) && !/[a-f]/.test(text);
  let at = replaced.length - digits.length;
  return text.replace(hexDigits, () => (isUpper ? replaced[at++]!.toUpperCase() : replaced[at++]!));
}

/** Any other name of a thing: as many digits as it has characters, at most 64. */
function asName(text: string, { digest }: Replacements): string {
  const longest = 32;
  const replaced = digest(new TextEncoder().encode(text), longest).toHex();
  return replaced.slice(0, Math.min(text.length, replaced.length));
}
