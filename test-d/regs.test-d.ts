import { expectAssignable, expectError, expectType } from "tsd";
import {
  alias,
  array,
  big,
  bitArray,
  capabilityId,
  composed,
  endpointHeader,
  expressCapability,
  type FieldReference,
  hex,
  joined,
  joinedBig,
  msixCapability,
  msixTableEntry,
  powerManagementCapability,
  r16,
  r32,
  r64,
  r8,
  rcw1c,
  type RegisterIo,
  registerMap,
  type RegisterReference,
  reset,
  ro,
  rc,
  rw,
  rw1c,
  scaled,
  wo,
} from "../src/regs/index.ts";

const memory = new DataView(new ArrayBuffer(64));
declare const io: RegisterIo;

// Values have the type of their bits: one is a boolean, several are a number, named ones are their names.
const msix = msixCapability.view(memory);
const pm = powerManagementCapability.view(memory);
expectType<boolean>(msix.controlEnable);
expectType<number>(msix.controlTableSize);
expectType<number>(msix.id);
expectType<"D0" | "D1" | "D2" | "D3" | `reserved(${number})`>(pm.controlPowerState);
expectType<number>(msix.control);
msix.controlEnable = true;
pm.controlPowerState = "D3";

// A register or a field that is not there.
expectError(msix.contrl);
expectError(msix.controlEnabled);
expectError(endpointHeader.view(memory).bar6);
expectError(msixCapability.offsetOf("contrl"));

// Writing what is read-only: a register, a field, a register of read-only fields.
expectError((msix.controlTableSize = 3));
expectError((msix.id = 5));
expectError((msix.table = 5));
expectError((msix.tableBir = 1));

// A wrong type, or a value without a name.
expectError((msix.controlEnable = 1));
expectError((pm.controlPowerState = 3));
expectError((pm.controlPowerState = "D4"));
expectError((pm.controlDataSelect = true));
expectError((msixTableEntry.view(memory).data = 1n));

// 64 bits are a bigint.
const wide = registerMap("wide", 16, { address: r64(0, "rw"), fixed: r64(8, "ro") });
expectType<bigint>(wide.view(memory).address);
expectError((wide.view(memory).address = 1));
expectError((wide.view(memory).fixed = 1n));

// Live registers: snapshots cannot be written, changes are checked the same way.
const live = powerManagementCapability.live(io);
const snapshot = live.control.read();
expectType<"D0" | "D1" | "D2" | "D3" | `reserved(${number})`>(snapshot.powerState);
expectType<boolean>(snapshot.pmeStatus);
expectType<number>(live.data.read());
live.control.modify({ powerState: "D0", pmeStatus: true });
expectError((snapshot.pmeEnable = true));
expectError(live.contrl);
expectError(snapshot.pme);
expectError(live.control.modify({ state: "D0" }));
expectError(live.control.modify({ noSoftReset: true }));
expectError(live.control.modify({ powerState: 0 }));
expectError(live.control.modify({ powerState: "D4" }));
expectError(live.control.modify({ pmeEnable: 1 }));
expectError(live.control.modify({ dataSelect: "1" }));
expectError(live.data.write(1));
expectError(live.data.modify({}));
expectType<bigint>(wide.live(io).address.read());
expectError(wide.live(io).address.write(1));
expectError(expressCapability.live(io).linkStatus.modify({ speed: "8GT/s" }));

// The traits keep the types of what they mark.
const map = registerMap("map", 4, {
  status: r16(0, { pending: rw1c(0), level: hex(ro(7, 4)), mode: rw(9, 8, ["off", "on"]) }),
  word: hex(r16(2, "rw")),
});
expectType<number>(map.view(memory).statusLevel);
expectAssignable<string>(map.view(memory).statusMode);
expectError((map.view(memory).statusLevel = 1));
map.view(memory).word = 1;
expectError(r32(0, "wr"));
expectError(registerMap("no size", { word: r32(0, "rw") }));

// References carry what a bare number would not: one cannot stand for the other.
declare function whatGuestWrites(command: FieldReference, pointer: RegisterReference): void;
whatGuestWrites(endpointHeader.field("command.memorySpace"), endpointHeader.register("capabilitiesPointer"));
expectError(whatGuestWrites(0x0002, 0x34));
expectType<boolean>(endpointHeader.field("command.memorySpace").of(2));
expectType<8>(endpointHeader.register("capabilitiesPointer").width);
expectError(endpointHeader.field("command"));
expectError(endpointHeader.field("command.memory"));
expectError(endpointHeader.register("comand"));
expectError(endpointHeader.field("command.memorySpace").with(0, 1));
expectError(capabilityId.msiX);

// Access words of datasheets: what a word rules out does not type-check.
const port = registerMap("port", 32, {
  data: r8(0, "rc"),
  command: r8(1, "wo"),
  cause: r16(2, { done: rcw1c(0), mode: rw(4, 3) }),
  control: r16(4, { enable: rw(0), key: wo(15, 8) }),
  entry: r64(8, { number: scaled(rw(51, 12), 4096), base: big(rw(63, 52)) }),
  filter: bitArray(16, 32, "rw"),
  address: array(2, 4, r32(20, { high: rw(31, 16), valid: ro(0) })),
  whole: joined(["control.enable", "command"]),
  fixed: joined(["data", "command"]),
  sum: composed(["cause.mode"], (mode) => String(mode)),
});
const portLive = port.live(io);
const portView = port.view(memory);
expectError(portLive.data.write(1));
expectError(portLive.command.read());
expectError(portLive.cause.modify({ mode: 1 }));
portLive.cause.write({ mode: 1 });
expectError(portLive.control.modify({ enable: true }));
portLive.control.modify({ enable: true, key: 1 });
expectError(portLive.control.read().key);
expectType<bigint>(portLive.entry.read().raw);
expectType<number>(portLive.entry.read().number);
expectType<bigint>(portView.entryBase);
expectError((portView.entryBase = 1));
expectType<boolean>(portLive.filter.get(1));
expectError(portLive.filter.set(1, 1));
expectError(portLive.filter.at(1));
portView.address.at(1).high = 2;
expectError((portView.address.at(1).valid = true));
expectError(portLive.address.at(0).modify({ valid: true }));
portView.whole = 3;
expectError((portView.fixed = 3));
expectError(portLive.fixed.write(3));
expectType<string | undefined>(portLive.sum.read());
expectError((portView.sum = "mode 1"));
expectError(reset("on", rw(0)));
expectError(scaled(rw(0), 8));
expectType<boolean>(portView.fields.control.enable);
expectError((portView.fields.address.raw = 1));

// One bit is a boolean, however it is written; bits that only the run knows are a number.
declare const bit: number;
expectType<boolean>(registerMap("bit", 4, { it: r32(0, { on: rw(4, 4) }) }).view(memory).itOn);
expectType<number>(registerMap("bit", 4, { it: r32(0, { on: rw(bit, bit) }) }).view(memory).itOn);
expectError(scaled(rw(4, 4), 8));
expectError(big(rw(0)));

// What an access word rules out of a whole register, of a bit of an array, of a joined value.
const words = registerMap("words", 64, {
  fixed: r32(0, { a: ro(7, 0), b: rc(8) }),
  started: r32(4, { a: wo(0), b: wo(7, 1) }),
  once: bitArray(8, 32, "wo"),
  cleared: bitArray(12, 32, "rw1c"),
  key: joined(["started.b"]),
  wide: r64(16, "rw"),
  low: alias("wide", r32(16, "rw")),
  pair: alias(["wide", "low"], array(2, 4, r32(16, { a: rw(7, 0) }))),
  number: joinedBig(["wide"]),
});
const wordsLive = words.live(io);
expectError(wordsLive.fixed.write(1));
expectError(wordsLive.fixed.modify({}));
expectError(wordsLive.started.read());
wordsLive.started.write({ a: true });
expectError(wordsLive.once.set(0, true));
expectError(wordsLive.once.get(0));
wordsLive.cleared.set(0, true);
expectError(wordsLive.key.read());
wordsLive.key.write(3);
expectType<bigint>(wordsLive.number.read());
expectType<number>(wordsLive.pair.at(1).read().a);
expectError(wordsLive.cleared.set(0, 1));
expectError(alias(1, r32(0, "rw")));
expectError(wordsLive.pair.at(0).modify(() => ({ a: 1 })));
expectError(wordsLive.pair.at(0).modify([1]));
expectError(wordsLive.pair.at(0).write(() => 1));
