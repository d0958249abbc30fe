// tsd must find errors here: nothing in this file is marked as expected to fail.
import { expectError } from "tsd";
import { msixCapability } from "../../src/regs/index.ts";

const msix = msixCapability.view(new DataView(new ArrayBuffer(12)));
msix.controlTableSize = 3;
expectError((msix.controlEnable = true));
