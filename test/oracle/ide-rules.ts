// How lspci 3.13 writes Integrity and Data Encryption.
import type { DecodedValue } from "../../src/regs/decode.ts";
import type { Read, Rule } from "./compare.ts";
import { sign, tableName } from "./lspci-forms.ts";

/** The stream that a line is of, as the prefix of its registers: `linkStream0`, `selectiveStream1`. */
function streamOf(label: string): string {
  const [, kind, index] = /(Link|Selective)IDE#(\d+)/.exec(label)!;
  return `${kind!.toLowerCase()}Stream${index!}`;
}
const algorithm = (value: DecodedValue): string =>
  String(value).startsWith("reserved") ? "reserved" : String(value);
/** Its table has a word for the value that the specification reserves. */
const state = (read: Read, register: string): string => {
  const value = tableName(read(register, "state"));
  return value === "??1" ? "reserved" : value;
};
const hex = (value: DecodedValue): string => Number(value).toString(16);
/** An address as lspci writes it: without zeros in front. */
const address = (text: string | undefined): string => (text ?? "").replace(/^0+(?=.)/, "");

export const ideRules: readonly Rule[] = [
  {
    line: "IDECap",
    pattern: /^Lnk=(\d+) Sel=(\d+)/,
    says: (read) => [
      read("capability", "linkStreams") === true ? read("capability", "linkTrafficClasses") : 0,
      read("capability", "selectiveStreams") === true ? read("capability", "selectiveStreamCount") : 0,
    ],
  },
  { line: "IDECap", pattern: /PCPC([+-])/, says: (read) => [sign(read("capability", "pcrc"))] },
  {
    line: "IDECap",
    pattern: /Alg='([^']*)'/,
    says: (read) => [read.number("capability", "algorithms") === 0 ? "AES-GCM-256-96b" : "reserved"],
  },
  {
    line: "IDECap",
    pattern: /TCs=(\d+)/,
    says: (read) => [read("capability", "linkTrafficClasses")],
  },
  {
    line: /IDE#\d+ Ctl$/,
    pattern:
      /^En([+-]) NPR(\S+) PR(\S+) CPL(\S+) PCRC([+-])(?: CFG([+-]))? HdrEnc=(\S+) Alg='([^']*)' TC(\d+) ID(\d+)( Default)?$/,
    says(read, match, label) {
      const register = `${streamOf(label)}Control`;
      const selective = label.includes("Selective");
      return [
        sign(read(register, "enable")),
        read(register, "aggregationNonPosted"),
        read(register, "aggregationPosted"),
        read(register, "aggregationCompletion"),
        // Of a link stream lspci prints whether it is enabled here.
        sign(read(register, selective ? "pcrcEnable" : "enable")),
        selective ? sign(read(register, "configEnable")) : undefined,
        tableName(read(register, "headerEncryption")),
        algorithm(read(register, "algorithm")),
        read(register, "trafficClass"),
        read(register, "id"),
        selective && read(register, "defaultStream") === true ? match[11] || " Default" : undefined,
      ];
    },
  },
  {
    line: /IDE#\d+ Sta$/,
    pattern: /^(?:Status=)?(\S+) RecvChkFail([+-])$/,
    says(read, _, label) {
      const register = `${streamOf(label)}Status`;
      return [state(read, register), sign(read(register, "integrityCheckFailed"))];
    },
  },
  {
    line: /SelectiveIDE#\d+ Cap$/,
    pattern: /^RID#=(\d+)$/,
    says: (read, _, label) => [read(`${streamOf(label)}Capability`, "addressBlocks")],
  },
  {
    line: /SelectiveIDE#\d+ RID$/,
    pattern: /^Valid([+-]) Base=([0-9a-f]+) Limit=([0-9a-f]+) SegBase=([0-9a-f]+)$/,
    says(read, _, label) {
      const stream = streamOf(label);
      return [
        sign(read(`${stream}RidBase`, "valid")),
        hex(read(`${stream}RidBase`, "base")),
        hex(read(`${stream}RidLimit`, "limit")),
        hex(read(`${stream}RidBase`, "segmentBase")),
      ];
    },
  },
  {
    line: /SelectiveIDE#\d+ RID#\d+$/,
    pattern: /^Valid([+-]) Base=([0-9a-f]+) Limit=([0-9a-f]+)$/,
    says(read, _, label) {
      const block = `${streamOf(label)}Address${/\d+$/.exec(label)![0]}`;
      return [
        sign(read(`${block}Low`, "valid")),
        address(read.text(`${block}Base`)),
        address(read.text(`${block}Limit`)),
      ];
    },
  },
];
