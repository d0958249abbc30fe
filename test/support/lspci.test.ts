import { expect, test } from "bun:test";
import { dumpText, parseLspci, syntheticBdf, tokens } from "./lspci.ts";

test("a printed device parses into header lines, capabilities, and lines joined by label", () => {
  const text = [
    "0000:01:00.0 0604: 1b36:000c (rev 02)",
    "\tControl: I/O+ Mem-",
    "\tExpansion ROM at fe000000 [disabled]",
    "\tBridgeCtl: Parity- SERR+",
    "\t\tPriDiscTmr-",
    "\tCapabilities: [54] Express (v2) Root Port (Slot+), MSI 00",
    "\t\tDevCap:\tMaxPayload 128 bytes, PhantFunc 0",
    "\t\t\tExtTag+ RBE+",
    "\tCapabilities: [100 v2] Advanced Error Reporting",
    "",
    "0000:02:00.0 0108: 1b36:0010",
    "",
  ].join("\n");
  const line = (label: string, ...parts: string[]) => ({ label, text: parts.join(" "), parts });
  expect(parseLspci(text)).toEqual([
    {
      bdf: "0000:01:00.0",
      title: "0604: 1b36:000c (rev 02)",
      header: [
        line("Control", "I/O+ Mem-"),
        line("", "Expansion ROM at fe000000 [disabled]"),
        line("BridgeCtl", "Parity- SERR+", "PriDiscTmr-"),
      ],
      capabilities: [
        {
          offset: 0x54,
          extended: false,
          version: 0,
          title: "Express (v2) Root Port (Slot+), MSI 00",
          lines: [line("DevCap", "MaxPayload 128 bytes, PhantFunc 0", "ExtTag+ RBE+")],
        },
        { offset: 0x100, extended: true, version: 2, title: "Advanced Error Reporting", lines: [] },
      ],
    },
    { bdf: "0000:02:00.0", title: "0108: 1b36:0010", header: [], capabilities: [] },
  ]);
});

test("a line splits into flags, pairs and phrases, in their order", () => {
  expect(tokens("DEVSEL=fast >TAbort- ErrNon-Fatal+ Speed 5GT/s, Width x1; Enable: A+")).toEqual([
    { kind: "equals", name: "DEVSEL", value: "fast" },
    { kind: "flag", name: ">TAbort", value: false },
    { kind: "flag", name: "ErrNon-Fatal", value: true },
    { kind: "phrase", text: "Speed 5GT/s" },
    { kind: "phrase", text: "Width x1" },
    { kind: "phrase", text: "Enable:" },
    { kind: "flag", name: "A", value: true },
  ]);
  // A printed line ends a phrase, and a dash between blanks is no flag.
  expect(tokens(["Link Down - Present", "Max 4"])).toEqual([
    { kind: "phrase", text: "Link Down - Present" },
    { kind: "phrase", text: "Max 4" },
  ]);
});

test("a dump is lspci's own text", () => {
  expect(
    dumpText(
      "01:00.0",
      Uint8Array.from({ length: 18 }, (_, i) => i),
    ),
  ).toBe("01:00.0 device\n00: 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f\n10: 10 11\n\n");
  expect([syntheticBdf(0), syntheticBdf(0x1ff)]).toEqual(["0000:00:00.0", "0001:ff:00.0"]);
});
