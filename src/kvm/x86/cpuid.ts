import type { CpuidEntry } from "../../ffi/kvm-cpuid.ts";

/** Leaves that tell the x2APIC ID in EDX (Intel SDM 2A, CPUID). */
const topologyLeaves = [0xb, 0x1f];
/** AMD: bits of EAX 31:26 and EBX say how many threads share what; 0x8000001e tells the APIC ID in EAX. */
const amdTopologyLeaf = 0x8000_001e;

/**
 * What KVM supports, made that of one CPU of a machine: its APIC ID in every leaf that tells it, and as many logical
 * processors in one package as the machine has.
 * @param apicId 0 to 254
 * @param cpus of the machine, 1 to 255
 */
export function cpuidOf(supported: readonly CpuidEntry[], apicId: number, cpus: number): CpuidEntry[] {
  return supported.map((entry) => {
    if (entry.leaf === 1) {
      // EBX 31:24 initial APIC ID, 23:16 logical processors, which counts with EDX bit 28 (HTT).
      const ebx = ((apicId << 24) | ((cpus & 0xff) << 16) | (entry.ebx & 0xffff)) >>> 0;
      return { ...entry, ebx, edx: cpus > 1 ? (entry.edx | (1 << 28)) >>> 0 : entry.edx };
    }
    if (topologyLeaves.includes(entry.leaf)) return { ...entry, edx: apicId };
    if (entry.leaf === amdTopologyLeaf) return { ...entry, eax: apicId };
    return entry;
  });
}
