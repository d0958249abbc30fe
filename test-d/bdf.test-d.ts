import { expectError, expectType } from "tsd";
import { type Bdf, formatBdf, parseBdf, requesterId } from "../src/regs/index.ts";

// The fields of a parsed BDF are numbers that nobody can change behind the caller's back.
expectType<Bdf>(parseBdf("0000:01:00.0"));
expectType<string>(formatBdf(parseBdf("0000:01:00.0")));
expectType<number>(requesterId(parseBdf("0000:01:00.0")));
expectError(parseBdf(0x0100));
