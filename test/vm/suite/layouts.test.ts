// machines: (arm)
// takes: 30 s
// Structs, requests and constants against the kernel's headers of aarch64, as that architecture's compiler has them.
import { expect, test } from "bun:test";
import * as arm from "../../../src/regs/ioctl/kvm-arm64.ts";
import {
  allConstants,
  allStructs,
  uapiName,
  type AnyStruct,
  type UapiConstant,
} from "../../../src/regs/ioctl/index.ts";
import { compiledFacts, differences, type Headers } from "../../regs/ioctl/c-program.ts";
import { kernelOf } from "../../regs/ioctl/expectations.ts";
import { constantFacts, structFacts, type Facts } from "../../regs/ioctl/facts.ts";
import "./support/devices.ts";
import { release } from "./support/rules.ts";

/** What the machine shares: its packages are those of the kernel's suite. */
const headers: Headers = {
  include: "/compiler/usr/include",
  version: Number(release.split(".")[0]) * 1000 + Number(release.split(".")[1]),
};
const there = ({ name }: { readonly name: string }): boolean => kernelOf(name) <= headers.version;
/** Of KVM's, what an aarch64 machine is made with; the rest is x86's. */
const shared = [
  ...[
    "kvm_userspace_memory_region",
    "kvm_irqfd",
    "kvm_irq_routing",
    "kvm_irq_routing_entry",
    "kvm_irq_routing_msi",
  ],
  ...[
    "kvm_irq_routing_irqchip",
    "kvm_irq_level",
    "kvm_msi",
    "kvm_ioeventfd",
    "kvm_create_device",
    "kvm_device_attr",
  ],
  ...["kvm_one_reg", "kvm_enable_cap"],
];
const isKvm = (name: string): boolean => /^kvm/i.test(name);
const compare = (facts: Facts): string[] =>
  differences(facts, compiledFacts([...facts.keys()], headers, "cc"));

test("structs: sizes, offsets, widths, signs, types", () => {
  const structs: AnyStruct[] = allStructs.filter(
    (one) => there(one) && (!isKvm(one.name) || shared.includes(one.name)),
  );
  expect(structs.length).toBeGreaterThan(85);
  expect(structs.filter(({ name }) => isKvm(name)).length).toBe(shared.length);
  expect(compare(new Map([...structs, arm.KvmVcpuInit].flatMap((type) => [...structFacts(type)])))).toEqual(
    [],
  );
});

test("requests and constants, and those that aarch64 alone has", () => {
  const own = Object.values<unknown>(arm).flatMap((table): UapiConstant[] => {
    const name = typeof table === "object" && table !== null ? uapiName(table) : undefined;
    return name
      ? Object.entries(table as Record<string, number>).map(([key, value]) => ({
          name: `${name.prefix}${key}${name.suffix}`,
          value,
        }))
      : [];
  });
  expect(own.length).toBeGreaterThan(12);
  const constants = allConstants.filter((one) => there(one) && !isKvm(one.name));
  expect(constants.length).toBeGreaterThan(230);
  expect(compare(constantFacts([...constants, ...own]))).toEqual([]);
});
