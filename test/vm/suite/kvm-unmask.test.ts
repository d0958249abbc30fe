// machines: (kvm)
// takes: 20 s
// Unmasking many vectors is one routing table for KVM, where the reference sets one for each.
import { afterAll, expect, test } from "bun:test";
import { sizes, unmask, unmaskLine } from "../../../bench/kvm-unmask.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import "./support/devices.ts";

const kvm = new Kvm();
afterAll(() => kvm[Symbol.dispose]());
/** Pins of the PICs and the IOAPIC, which every table repeats. */
const chips = 40;

test.each(sizes)("%d vectors: one table and as many irqfds, against as many tables", (vectors) => {
  expect(unmask(kvm, vectors, "batch")).toMatchObject({
    ...{ tables: 1, entries: chips + vectors, irqfds: vectors },
  });
});

test("one by one, 2048 vectors are 2048 tables, and more than a thousand times the entries", () => {
  const [batch, each] = [unmask(kvm, 2048, "batch"), unmask(kvm, 2048, "each")];
  expect([each.tables, each.irqfds]).toEqual([2048, 2048]);
  expect(each.entries / batch.entries).toBeGreaterThan(1000);
  console.log(`${batch.routing.toFixed(0)} us against ${each.routing.toFixed(0)} us in KVM_SET_GSI_ROUTING`);
});

test("what the benchmark prints", () => {
  expect(unmaskLine(kvm, 16)).toMatch(/^16 +1 \/ 16 +56 \/ 776 +\d+ \/ \d+ +\d+x +\d+ \/ \d+ +\d+x$/);
});
