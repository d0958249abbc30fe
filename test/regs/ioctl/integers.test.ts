// Every integer member of every struct refuses what does not fit it: nothing is cut on its way to the kernel. Widths and
// signs are those that abi.test.ts compares with the C compiler's.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  IommuDestroy,
  KvmEnableCap,
  KvmIoeventfd,
  KvmIrqRoutingMsi,
  VfioPciDependentDevice,
  allStructs,
  create,
  integerMembers,
  memberRange,
  wide,
} from "../../../src/regs/ioctl/index.ts";
import { membersOf, type Member } from "./facts.ts";

type Values = Record<string, unknown>;
const integers = (members: readonly Member[]): readonly Member[] =>
  members.filter(({ signed }) => signed !== undefined);
const limits = ({ size, signed }: Member): { min: bigint; max: bigint } => {
  const bits = BigInt(8 * size);
  return signed
    ? { min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n }
    : { min: 0n, max: 2n ** bits - 1n };
};
const instantiate = (type: (typeof allStructs)[number]): Values =>
  new type(Buffer.from(new ArrayBuffer(type.baseSize))) as unknown as Values;

describe("every integer of every struct", () => {
  const declared = allStructs.map((type) => ({ type, name: type.name, members: integers(membersOf(type)) }));

  test("there are as many as the declarations have", () => {
    const count = declared.reduce((sum, { members }) => sum + members.length, 0);
    expect(count).toBeGreaterThan(570);
  });

  for (const { type, name, members } of declared.filter(({ members }) => members.length > 0))
    test(`${name}: extremes are taken; what lies beyond, fractions and other types are refused`, () => {
      const struct = instantiate(type);
      for (const member of members) {
        const { min, max } = limits(member);
        const is = (value: bigint): number | bigint => (member.size === 8 ? value : Number(value));
        for (const value of [min, max]) {
          struct[member.name] = is(value);
          expect(struct[member.name]).toBe(is(value));
        }
        const path = new RegExp(`^${name}\\.\\w+ must be an integer from .* to 0x${max.toString(16)}, not `);
        for (const value of [is(min - 1n), is(max + 1n), -0.5, 3.9, NaN, Infinity, -Infinity, 2 ** 64]) {
          expect(() => (struct[member.name] = value)).toThrow(RangeError);
          expect(() => (struct[member.name] = value)).toThrow(path);
        }
        for (const value of ["3", undefined, null, true, {}, [3], ...(member.size === 8 ? [] : [3n])])
          expect(() => (struct[member.name] = value)).toThrow(TypeError);
        expect(struct[member.name]).toBe(is(max));
      }
    });

  test("a value that fits comes back, any other changes nothing", () => {
    const all = declared.flatMap(({ type, members }) => members.map((member) => ({ type, member })));
    fc.assert(
      fc.property(
        fc.constantFrom(...all),
        fc.oneof(fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }), fc.bigInt({ min: -300n, max: 70000n })),
        ({ type, member }, value) => {
          const { min, max } = limits(member);
          const struct = instantiate(type);
          const given = member.size === 8 ? value : Number(value);
          if (value >= min && value <= max) {
            struct[member.name] = given;
            expect(struct[member.name]).toBe(given);
          } else {
            expect(() => (struct[member.name] = given)).toThrow(RangeError);
            expect(BigInt(struct[member.name] as number)).toBe(0n);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("a member", () => {
  test("is named with its range", () => {
    const destroy = create(IommuDestroy);
    expect(() => (destroy.id = 2 ** 32 + 3)).toThrow(
      new RangeError("iommu_destroy.id must be an integer from 0 to 0xffffffff, not 4294967299"),
    );
    expect(() => (destroy.id = "3" as never)).toThrow(
      new TypeError("iommu_destroy.id must be a number, not string"),
    );
    expect(() => (create(KvmIoeventfd).fd = -(2 ** 31) - 1)).toThrow(
      "kvm_ioeventfd.fd must be an integer from -0x80000000 to 0x7fffffff, not -2147483649",
    );
  });

  test("of 64 bits takes a number that is exact", () => {
    const write = create(KvmIoeventfd);
    write.addr = wide(0xfee0_0000);
    expect(write.addr).toBe(0xfee0_0000n);
    expect(() => (write.addr = wide(2 ** 53))).toThrow(
      new RangeError(
        "kvm_ioeventfd.addr must be an integer from 0 to 0xffffffffffffffff, not 9007199254740992",
      ),
    );
    expect(() => (write.addr = "1" as never)).toThrow(
      new TypeError("kvm_ioeventfd.addr must be a bigint or a number, not string"),
    );
  });

  test("of two names is one member", () => {
    const device = create(VfioPciDependentDevice);
    device.devid = 7;
    expect(device.group_id).toBe(7);
    expect(memberRange(VfioPciDependentDevice, "devid")).toBe(
      memberRange(VfioPciDependentDevice, "group_id"),
    );
  });

  test("has its range by name, and so has an array's element", () => {
    expect(memberRange(KvmIrqRoutingMsi, "data")).toMatchObject({
      name: "kvm_irq_routing_msi.data",
      min: 0,
      max: 0xffff_ffff,
    });
    expect(memberRange(KvmEnableCap, "args")).toMatchObject({ bytes: 8, min: 0n, max: 2n ** 64n - 1n });
    expect(integerMembers(KvmEnableCap)).toEqual(["cap", "flags", "args", "pad"]);
    expect(() => memberRange(KvmEnableCap, "argz")).toThrow("kvm_enable_cap has no integer argz");
  });
});
