// The 82574L's registers, as its datasheet lists them by their abbreviations, against the map: each place of each is described.
import { expect, test } from "bun:test";
import { e1000eRegisters } from "../../examples/e1000e/registers.ts";
import type { Register } from "../../src/regs/index.ts";

/** `NAME offset`, the places of more of them as `xCOUNT/STRIDE`, and with `@` where the 82542 had it: all in hexadecimal but the count. */
const datasheet = `
CTRL 0000 @0004, STATUS 0008, EEC 0010, EERD 0014, CTRL_EXT 0018, FLA 001c, MDIC 0020, FCAL 0028, FCAH 002c, FCT 0030, VET 0038,
FCTTV 0170, FCRTV 5f40, LEDCTL 0e00, EXTCNF_CTRL 0f00, EXTCNF_SIZE 0f08, POEMB 0f10, PBA 1000, PBS 1008, PBECCSTS 1100,
EEMNGCTL 1010, EEMNGDATA 1014, FLMNGCTL 1018, FLMNGDATA 101c, FLMNGCNT 1020, EEARBC 1024, FLASHT 1028, EEWR 102c, FLSWCTL 1030,
FLSWDATA 1034, FLSWCNT 1038, FLOP 103c, FLOL 1050,
GCR 5b00, FUNCTAG 5b08, GSCL 5b10 x4/4, GSCN 5b20 x4/4, FACTPS 5b30, SWSM 5b50, FWSM 5b54, SWSM2 5b58, SW_FW_SYNC 5b5c,
GCR2 5b64, PBACLR 5b68,
ICR 00c0, ITR 00c4, ICS 00c8, IMS 00d0, IMC 00d8, EIAC 00dc, IAM 00e0, IVAR 00e4, EITR 00e8 x5/4,
RCTL 0100, PSRCTL 2170, FCRTL 2160 @0168, FCRTH 2168 @0160, RDBAL0 2800 @0110, RDBAH0 2804 @0114, RDLEN0 2808 @0118,
RDH0 2810 @0120, RDT0 2818 @0128, RDTR 2820 @0108, RXDCTL 2828 x2/100, RADV 282c, RDBAL1 2900, RDBAH1 2904, RDLEN1 2908,
RDH1 2910, RDT1 2918, RSRPD 2c00, RAID 2c08, RXCSUM 5000, RFCTL 5008, MTA 5200 x128/4 @0200, RAL 5400 x16/8 @0040,
RAH 5404 x16/8 @0044, VFTA 5600 x128/4 @0600, MRQC 5818, RETA 5c00 x32/4, RSSRK 5c80 x10/4,
TCTL 0400, TCTL_EXT 0404, TIPG 0410, AIT 0458, TDBAL0 3800 @0420, TDBAH0 3804 @0424, TDLEN0 3808 @0428, TDH0 3810 @0430,
TDT0 3818 @0438, TIDV 3820 @0440, TXDCTL 3828 x2/100, TADV 382c, TARC 3840 x2/100, TDBAL1 3900, TDBAH1 3904, TDLEN1 3908,
TDH1 3910, TDT1 3918,
CRCERRS 4000, ALGNERRC 4004, SYMERRS 4008, RXERRC 400c, MPC 4010, SCC 4014, ECOL 4018, MCC 401c, LATECOL 4020, COLC 4028,
DC 4030, TNCRS 4034, SEC 4038, CEXTERR 403c, RLEC 4040, XONRXC 4048, XONTXC 404c, XOFFRXC 4050, XOFFTXC 4054, FCRUC 4058,
PRC64 405c, PRC127 4060, PRC255 4064, PRC511 4068, PRC1023 406c, PRC1522 4070, GPRC 4074, BPRC 4078, MPRC 407c, GPTC 4080,
GORCL 4088, GORCH 408c, GOTCL 4090, GOTCH 4094, RNBC 40a0, RUC 40a4, RFC 40a8, ROC 40ac, RJC 40b0, MNGPRC 40b4, MPDC 40b8,
MNGPTC 40bc, TORL 40c0, TORH 40c4, TOTL 40c8, TOTH 40cc, TPR 40d0, TPT 40d4, PTC64 40d8, PTC127 40dc, PTC255 40e0, PTC511 40e4,
PTC1023 40e8, PTC1522 40ec, MPTC 40f0, BPTC 40f4, TSCTC 40f8, TSCTFC 40fc, IAC 4100, ICRXPTC 4104, ICRXATC 4108, ICTXPTC 410c,
ICTXATC 4110, ICTXQEC 4118, ICTXQMTC 411c, ICRXDMTC 4120, ICRXOC 4124,
WUC 5800, WUFC 5808, WUS 5810, IPAV 5838, IP4AT 5840 x4/8, IP6AT 5880 x4/4, WUPL 5900, WUPM 5a00 x32/4, FFLT 5f00 x4/8,
FFMT 9000 x128/8, FFVT 9800 x128/8, FTFT 9400 x64/4, MANC 5820, MFVAL 5824, MFUTP 5828 x2/8, MANC2H 5860, MDEF 5890 x8/4,
MAVTV 5010 x4/4, MIPAF 58b0 x16/4, HICR 8f00,
SYSTIML b600, SYSTIMH b604, TIMINCA b608, TIMADJL b60c, TIMADJH b610, TSYNCTXCTL b614, TXSTMPL b618, TXSTMPH b61c,
TSYNCRXCTL b620, RXSTMPL b624, RXSTMPH b628, RXSATRL b62c, RXSATRH b630, RXCFGL b634, RXUDP b638,
RDFH 2410 @8000, RDFT 2418 @8008, RDFHS 2420, RDFTS 2428, RDFPC 2430, TDFH 3410 @8010, TDFT 3418 @8018, TDFHS 3420, TDFTS 3428,
TDFPC 3430, PBM 10000 x10240/4`;

interface Listed {
  readonly name: string;
  readonly places: readonly number[];
  readonly aliases: readonly number[];
}
const listed: readonly Listed[] = datasheet.split(",").map((entry) => {
  const parsed = /^(\w+) ([0-9a-f]+)(?: x(\d+)\/([0-9a-f]+))?(?: @([0-9a-f]+))?$/.exec(entry.trim());
  if (!parsed) throw new Error(`"${entry}" is no entry of the list`);
  const [name, at, count, stride, again] = parsed.slice(1);
  const from = (place: string | undefined): number[] =>
    place === undefined
      ? []
      : Array.from(
          { length: Number(count ?? 1) },
          (_, i) => parseInt(place, 16) + i * parseInt(stride ?? "0", 16),
        );
  return { name: name!, places: from(at), aliases: from(again) };
});
const registers: readonly (readonly [string, Register])[] = Object.entries(e1000eRegisters.registers);
/** By each word of 32 bits: the register that has it. */
const byWord = new Map(
  registers.flatMap((entry) =>
    Array.from({ length: entry[1].width / 32 }, (_, i) => [entry[1].at + 4 * i, entry] as const),
  ),
);

test("each of them is in the map, at each of its places, and nothing else is", () => {
  expect(new Set(listed.map(({ name }) => name)).size).toBe(listed.length);
  expect(listed).toHaveLength(212);
  const words = listed.flatMap(({ name, places, aliases }) =>
    [...places, ...aliases].map((at) => [at, name] as const),
  );
  expect(words.filter(([at]) => !byWord.has(at)).map(([at, name]) => `${name} ${at.toString(16)}`)).toEqual(
    [],
  );
  expect(new Set(words.map(([at]) => at)).size).toBe(words.length);
  const known = new Set(words.map(([at]) => at));
  expect([...byWord].filter(([at]) => !known.has(at)).map(([, [name]]) => name)).toEqual([]);
  expect(byWord.size).toBe(words.length);
});

test("what the 82542 had elsewhere is said to be the same register", () => {
  for (const { places, aliases } of listed)
    for (const [index, again] of aliases.entries()) {
      const [name] = byWord.get(places[index]!)!;
      expect(byWord.get(again)?.[1].alias).toBe(name);
    }
  expect(registers.filter(([, { alias }]) => alias !== undefined)).toHaveLength(
    listed.reduce((sum, { aliases }) => sum + aliases.length, 0),
  );
});

test("all can be reached, in memory and live", () => {
  const memory = new DataView(new ArrayBuffer(e1000eRegisters.size));
  const view = e1000eRegisters.view(memory);
  view.receiveRingsAgain.at(0).tailIndex = 7;
  memory.setBigUint64(0x4088, (1n << 40n) + 5n, true);
  expect([memory.getUint32(0x128, true), view.goodOctetsReceivedCount]).toEqual([7, (1n << 40n) + 5n]);
  const log: string[] = [];
  const live = e1000eRegisters.live({
    read: (offset) => (log.push(`read ${offset.toString(16)}`), 0),
    write: (offset, _width, value) => log.push(`write ${offset.toString(16)} ${value.toString(16)}`),
  });
  live.receiveAddressesAgain.at(15).high.modify({ valid: true, part: 0x5634 });
  live.vlanFilterAgain.set(4095, true);
  live.interruptMaskClear.write({ linkChange: true, other: true });
  live.eepromRead.modify({ start: true, address: 3 });
  expect(log).toEqual([
    "read bc",
    "write bc 80005634",
    "read 7fc",
    "write 7fc 80000000",
    "write d8 1000004",
    "read 14",
    "write 14 d",
  ]);
  // @ts-expect-error a read clears it: it is written whole
  expect(() => live.interruptCause.modify({ linkChange: true })).toThrow(
    '"82574L.interruptCause" must be written whole',
  );
});
