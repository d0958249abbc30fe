// machines: (kvm)
// takes: 20 s
// The snippets of docs/kvm.md, run where there is KVM.
import { expect } from "bun:test";
import { take } from "./support/devices.ts";
import { testSnippets } from "./support/snippets.ts";

testSnippets("docs/kvm.md", 3, () => expect(take("edu")).toBe("0000:01:00.0"));
