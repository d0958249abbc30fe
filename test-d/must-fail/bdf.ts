import { expectError, expectType } from "tsd";
import { formatBdf, parseBdf } from "../../src/regs/index.ts";

// Every line below is wrong on purpose: a run of tsd that does not report all of them has not read this file.
expectType<number>(formatBdf(parseBdf("0000:01:00.0")));
expectError(parseBdf("0000:01:00.0"));
parseBdf(0x0100);
