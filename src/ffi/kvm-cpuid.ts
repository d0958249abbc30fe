// `struct kvm_cpuid2` (asm/kvm.h of x86) as data, and back.
import { KvmCpuid2, KvmCpuidEntry2, kvmCpuidFlag } from "../regs/ioctl/kvm-vcpu.ts";
import { checked } from "../regs/ioctl/integer.ts";
import { memberRange } from "../regs/ioctl/struct.ts";
import { VfioError } from "./errors.ts";

/** One leaf of CPUID, as KVM takes it. Each value has 32 bits. */
export interface CpuidEntry {
  /** EAX of the leaf. */
  readonly leaf: number;
  /** ECX of the leaf; counts where `indexed`. */
  readonly index: number;
  /** Whether `index` counts: the leaf has sub-leaves. */
  readonly indexed: boolean;
  /** 32 bits. */
  readonly eax: number;
  /** 32 bits. */
  readonly ebx: number;
  /** 32 bits. */
  readonly ecx: number;
  /** 32 bits. */
  readonly edx: number;
}

/** KVM_MAX_CPUID_ENTRIES (arch/x86/include/asm/kvm_host.h). */
export const maxCpuidEntries = 256;

// By words: a typed-struct array of 256 leaves takes milliseconds.
const headerWords = KvmCpuid2.baseSize / 4;
const entryWords = KvmCpuidEntry2.baseSize / 4;
const members = ["function", "index", "flags", "eax", "ebx", "ecx", "edx"] as const;
const ranges = members.map((member) => memberRange(KvmCpuidEntry2, member));

/** Room for as many leaves as KVM may give. */
export function emptyCpuid(): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(new ArrayBuffer(4 * (headerWords + entryWords * maxCpuidEntries)));
  words[0] = maxCpuidEntries;
  return new Uint8Array(words.buffer);
}

/** The leaves in a `struct kvm_cpuid2` as KVM filled it. @throws VfioError (`E2BIG`) if it says there are more than fit */
export function decodeCpuid(bytes: Uint8Array): CpuidEntry[] {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): number => words.getUint32(4 * at, true);
  const count = word(0);
  if (4 * (headerWords + entryWords * count) > bytes.byteLength)
    throw new VfioError(`KVM speaks of ${count} CPUID leaves, for which there is no room`, { code: "E2BIG" });
  return Array.from({ length: count }, (_, i) => {
    const at = headerWords + entryWords * i;
    return {
      leaf: word(at),
      index: word(at + 1),
      indexed: (word(at + 2) & kvmCpuidFlag.SIGNIFCANT_INDEX) !== 0,
      eax: word(at + 3),
      ebx: word(at + 4),
      ecx: word(at + 5),
      edx: word(at + 6),
    };
  });
}

/** A `struct kvm_cpuid2` of these leaves. @throws TypeError, RangeError for a value that has not 32 bits */
export function encodeCpuid(entries: readonly CpuidEntry[]): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(new ArrayBuffer(4 * (headerWords + entryWords * entries.length)));
  words[0] = entries.length;
  entries.forEach(({ leaf, index, indexed, eax, ebx, ecx, edx }, i) => {
    const values = [leaf, index, indexed ? kvmCpuidFlag.SIGNIFCANT_INDEX : 0, eax, ebx, ecx, edx];
    words.set(
      values.map((value, word) => checked(value, ranges[word]!)),
      headerWords + entryWords * i,
    );
  });
  return new Uint8Array(words.buffer);
}
