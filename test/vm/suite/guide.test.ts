// machines: (kvm)
// takes: 10 s
// The guide's snippets are one program: a device of the host in a guest, from nothing to the end.
import { expect } from "bun:test";
import { take } from "./support/devices.ts";
import { testProgram } from "./support/snippets.ts";

testProgram("docs/guide.md", 12, () => expect(take("edu")).toBe("0000:01:00.0"));
