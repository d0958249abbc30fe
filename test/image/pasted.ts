// Dumps as they come back: random devices, with the rows, the lines around them and the bytes of the text changed in ways that
// change nothing of what they say.
import fc from "fast-check";
import { configs } from "./arbitrary.ts";

const twoDigits = (value: number): string => value.toString(16).padStart(2, "0");
const bdfs = fc
  .tuple(fc.boolean(), fc.nat(0xffff), fc.nat(0xff), fc.nat(0x1f), fc.nat(7))
  .map(([short, domain, bus, device, fn]) => {
    const rest = `${twoDigits(bus)}:${twoDigits(device)}.${fn}`;
    return short ? `0000:${rest}` : `${domain.toString(16).padStart(4, "0")}:${rest}`;
  });

/** A device, and how its rows are cut: pieces of 1 to 40 bytes. */
export interface PastedDevice {
  readonly bdf: string;
  readonly config: Uint8Array;
  readonly cuts: readonly number[];
  readonly order: number;
}

const device = fc.record({
  bdf: bdfs,
  config: configs,
  cuts: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
  order: fc.nat(0xffff),
});
export const pastedDevices = fc.uniqueArray(device, {
  minLength: 1,
  maxLength: 3,
  selector: ({ bdf }) => bdf,
});

const titles = [
  "Ethernet controller: Intel Corporation 82574L Gigabit Network Connection",
  "Non-Volatile memory controller: made up (rev 02)",
  "VGA compatible controller [0300]: made up [1234:5678] (prog-if 00 [VGA controller])",
];

/** Heading and rows, one a line; rows of 16 bytes in order, or `cut`: of any length, in any order. */
export function plainLines({ bdf, config, cuts, order }: PastedDevice, cut: boolean): string[] {
  const rows: string[] = [];
  for (let at = 0, piece = 0; at < config.length; piece++) {
    const size = cut ? cuts[piece % cuts.length]! : 16;
    const bytes = Array.from(config.subarray(at, at + size), twoDigits);
    rows.push(`${twoDigits(at)}: ${bytes.join(" ")}`);
    at += size;
  }
  if (cut) rows.sort((a, b) => ((hash(a) ^ order) % 97) - ((hash(b) ^ order) % 97));
  const title = titles[order % titles.length]!;
  return [`${bdf.startsWith("0000:") ? bdf.slice(5) : bdf} ${title}`, ...rows];
}

const hash = (text: string): number =>
  [...text].reduce((sum, sign) => (sum * 31 + sign.charCodeAt(0)) & 0xffff, 7);

/** What stands before each line of a mail, a log, a page. */
export const prefixes: Readonly<Record<string, (line: number) => string>> = {
  nothing: () => "",
  "one quotation": () => "> ",
  "two quotations": () => ">> ",
  "quotations apart": () => "> > ",
  "a quotation with initials": () => "JD> ",
  "a bar": () => "| ",
  "four blanks": () => "    ",
  "a tab": () => "\t",
  dmesg: (line) => `[   12.${String(345000 + line)}] `,
  "dmesg with its thread": (line) => `[   12.${String(345000 + line)}][    T1] `,
  "dmesg -T": () => "[Tue Dec  1 05:04:34 2026] ",
  "dmesg -x": (line) => `kern  :info  : [   12.${String(345000 + line)}] `,
  "a level": (line) => `<6>[   12.${String(345000 + line)}] `,
  journalctl: () => "Dec 01 05:04:34 host lspci[123]: ",
  "journalctl -o short-iso": () => "2026-12-01T05:04:34+0100 host kernel: ",
  "journalctl -o short-monotonic": () => "[   12.345678] host sh[77]: ",
  "cat -n": (line) => `${String(line).padStart(6)}\t`,
  "an added line": () => "+",
  "a page": () => "&gt; ",
  "a page's deeper quotation": () => "&gt;&nbsp;&#62; ",
  "grep -H": () => "dump.txt:",
  "grep -Hn": (line) => `logs/dump-1.txt:${line}:`,
  "grep's context": (line) => `dump.txt-${line}-`,
  "grep -n": (line) => `${line}:`,
  "a time": () => "10:00:01 ",
  "a time with its fraction": () => "10:00:01.123456 ",
  "a time in brackets": () => "[10:00:01] ",
  "a date and a time": () => "2026-12-01 10:00:01,123 ",
  "docker logs -t": () => "2026-12-01T05:04:34.123456789Z ",
  "the log of a container runtime": () => "2026-12-01T05:04:34.123456789Z stdout F ",
  "the same with an offset": () => "2026-12-01T05:04:34.123456789+01:00 stderr F ",
  "kubectl logs --prefix": () => "[pod/probe-7d4b9/lspci] ",
  "docker compose": () => "probe-1  | ",
  "a syslog of RFC 5424": () => "<34>1 2026-12-01T05:04:34.003Z host lspci 77 ID47 - ",
  "Python's logging": () => "INFO:root:",
  "Python's logging in full": () => "2026-12-01 05:04:34,123 - probe - INFO - ",
  "a level in words": () => "INFO  ",
  "less -N": (line) => `${String(line).padStart(7)} `,
  "numbers with a point": (line) => `${line}. `,
  "numbers with a bracket": (line) => `${line}) `,
  "numbers with a bar": (line) => `${String(line).padStart(4)} | `,
  "a removed line": () => "-",
  "a list": () => "* ",
  "a quotation of a list": () => ">  - ",
  "deep quotations": () => "> >>> > > ",
  "a quotation without blanks": () => ">>>>",
  "wide blanks": () => "\u3000\u2003",
  "blanks without width": () => "\u200b",
  "a colour": () => "\u001b[38;5;12m",
};

/** What stands around each line. */
export const wrappings: Readonly<Record<string, (line: string) => string>> = {
  "a table": (line) => `| ${line} |`,
  "a table without blanks": (line) => `|${line}|`,
  "code in a table": (line) => `| \`${line}\` |`,
  "a line of a page": (line) => `${line}<br>`,
  "a line of a page, behind a blank": (line) => `${line} <br/>`,
  code: (line) => `\`${line}\``,
  bold: (line) => `**${line}**`,
  "a cell of a page": (line) => `<tr><td>${line}</td></tr>`,
  "the line of a page": (line) => `${line.replaceAll(" ", "&nbsp;")}<br>`,
  "a part of a page": (line) => `<span class="line"><code>${line}</code></span>`,
  "docker's json-file": (line) =>
    JSON.stringify({ log: `${line}\n`, stream: "stdout", time: "2026-12-01T05:04:34.1Z" }),
  "journalctl -o json": (line) => JSON.stringify({ __CURSOR: "s=1".repeat(600), MESSAGE: line }),
  "a program's records": (line) => JSON.stringify({ level: "info", msg: line }),
  "hexadecimal marks": (line) => line.replace(/^([0-9a-f]{2,3}): /, "0x$1: "),
  "hexadecimal marks of four digits": (line) =>
    line.replace(/^([0-9a-f]{2,3}): /, (_, at: string) => `0x${at.padStart(4, "0")}: `),
  "a colon behind the address": (line) => line.replace(/^([0-9a-f:]+\.[0-7]) /, "$1: "),
  "lspci -vmm": (line) => line.replace(/^([0-9a-f:]+\.[0-7]) .*/, "Slot:\t$1\nClass:\tEthernet controller"),
  "tabs between bytes": (line) => line.replace(/^([0-9a-f]{2,3}:) (.*)$/, (row) => row.replaceAll(" ", "\t")),
  "a string": (line) => `"${line}"`,
  "a string of a list": (line) => `            "${line}",`,
  "a string of Python": (line) => `    '${line}',`,
  "a string of C": (line) => `"${line}\\n"`,
  "a list of YAML": (line) => `  - "${line}"`,
  "a column of a table of values": (line) => `7,"${line}"`,
  "blanks of other widths": (line) => line.replaceAll(" ", "\u2007"),
  "blanks at the end": (line) => `${line} \t `,
};

/** A whole text in one line. */
export const strings: Readonly<Record<string, (text: string) => string>> = {
  "a string of JSON": (text) => JSON.stringify({ changed: true, stdout: text, rc: 0 }),
  "a line of a JSON that was laid out": (text) => JSON.stringify({ rc: 0, stdout: text }, undefined, 2),
  "a string of JSON within one": (text) => JSON.stringify({ body: JSON.stringify({ stdout: text }) }),
  "line ends of another system in a string": (text) => JSON.stringify([text.replaceAll("\n", "\r\n")]),
  "a string of Python": (text) => `b'${text.replaceAll("\n", "\\n")}'`,
  "a page": (text) => `<p>${text.replaceAll("\n", "<br>")}</p>`,
  "a page, and a blank": (text) => `<code>${text.replaceAll("\n", " <br />")}</code>`,
};

/** Lines that lspci itself prints in between. */
export const printedBetween: readonly string[] = [
  "pcilib: sysfs_read_vpd: read failed: Input/output error",
  "lspci: Unable to load libkmod resources: error -2",
  "pcilib: Cannot open /sys/bus/pci/devices/0000:01:00.0/config: No such file or directory",
  "\tSubsystem: Intel Corporation Device 0000",
  "\tControl: I/O- Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR+ FastB2B- DisINTx+",
  "\t\tLnkCap:\tPort #0, Speed 8GT/s, Width x4, ASPM L1, Exit Latency L1 <64us",
  "\tKernel driver in use: nvme",
  "\tKernel modules: nvme",
];

/** Lines that are none of a dump. */
export const prose: readonly string[] = [
  "host:~ # lspci -xxx -s 01:00.0",
  "user@host:~$ sudo lspci -vvxxxx",
  "This is the card that I have:",
  "```",
  "```text",
  "{{{",
  "<pre>",
  "-- ",
  "Does 10: be right? It says 0x20: ab there.",
  "On Tue, Dec 1, 2026 at 05:04, somebody wrote:",
  "> the card in 01:00.0 does not answer",
  "Subject: Re: lspci",
  "---8<---",
  "\u001b[01;32muser@host\u001b[00m:\u001b[01;34m~\u001b[00m$ ",
  "Gr\u00fc\u00dfe",
  "[    1.234567] pci 0000:01:00.0: [8086:10d3] type 00 class 0x020000",
  "Dec  1 05:04:34 host kernel: nvme 0000:01:00.0: PCI INT A: disabled",
  "2026-12-01T05:04:34.1Z stdout F pcieport 0000:00:1c.0: AER: Corrected error received",
  "pcieport 0000:00:1c.0: PCIe Bus Error: severity=Corrected, type=Physical Layer",
];

/** What a text does to its lines' ends and letters. */
export const encodings: Readonly<Record<string, (text: string) => Uint8Array>> = {
  "UTF-8": (text) => new TextEncoder().encode(text),
  "UTF-8 with a mark": (text) => new TextEncoder().encode(`\ufeff${text}`),
  "Latin-1": (text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0)),
  "UTF-16": (text) =>
    new Uint8Array(Uint16Array.from(`\ufeff${text}`, (letter) => letter.charCodeAt(0)).buffer),
  "line ends of another system": (text) => new TextEncoder().encode(text.replaceAll("\n", "\r\n")),
  "line ends of an old system": (text) => new TextEncoder().encode(text.replaceAll("\n", "\r")),
  "line ends that were made twice": (text) => new TextEncoder().encode(text.replaceAll("\n", "\r\r\n")),
  "blanks that do not break": (text) => new TextEncoder().encode(text.replaceAll(" ", "\u00a0")),
  "upper case": (text) =>
    new TextEncoder().encode(text.replace(/^[0-9a-f]{2,3}: .*$/gm, (row) => row.toUpperCase())),
};

/** A line as a program for mails wraps it: at the last blank before `width`, where there is one. */
export function wrappedAt(line: string, width: number, again: string): string {
  const pieces: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const at = rest.lastIndexOf(" ", width);
    if (at <= again.length) break;
    pieces.push(rest.slice(0, at));
    rest = again + rest.slice(at + 1);
  }
  return [...pieces, rest].join("\n");
}

/** A text as mails have it in quoted-printable: RFC 2045, 6.7. */
export const quotedPrintable = (text: string, width = 76): string =>
  text
    .split("\n")
    .map((line) => {
      const codes = Array.from(new TextEncoder().encode(line), (byte, at) => {
        const isLast = at === line.length - 1;
        return byte === 0x3d || byte > 0x7e || byte < 0x20 || (isLast && byte === 0x20)
          ? `=${byte.toString(16).toUpperCase().padStart(2, "0")}`
          : String.fromCharCode(byte);
      });
      let broken = "";
      let length = 0;
      for (const code of codes) {
        if (length + code.length >= width) {
          broken += "=\n";
          length = 0;
        }
        broken += code;
        length += code.length;
      }
      return broken;
    })
    .join("\n");
