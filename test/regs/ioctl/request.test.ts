import { describe, expect, test } from "bun:test";
import { io, ior, iow, iowr, iommufdRequest, vfioRequest } from "../../../src/regs/ioctl/index.ts";
import { kvmSystemRequest, kvmVcpuRequest, kvmVmRequest } from "../../../src/regs/ioctl/index.ts";

describe("ioctl requests", () => {
  test("have direction, size, type and number in their places", () => {
    expect(io(0xae, 0x80)).toBe(0xae80);
    expect(ior(0xae, 0x81, 0x90)).toBe(0x8090_ae81);
    expect(iow(0xae, 0x46, 0x20)).toBe(0x4020_ae46);
    expect(iowr(0xff, 0xff, 0x3fff)).toBe(0xffff_ffff);
  });

  test.each([
    [256, 0, 0],
    [-1, 0, 0],
    [0, 256, 0],
    [0, 1.5, 0],
    [0, 0, 0x4000],
    [0, 0, NaN],
  ])("refuse type %p, number %p, size %p", (type, number, size) => {
    expect(() => iow(type, number, size)).toThrow(RangeError);
  });

  test("of KVM are what strace shows", () => {
    expect(kvmVcpuRequest.RUN).toBe(0xae80);
    expect(kvmVmRequest.SET_USER_MEMORY_REGION).toBe(0x4020_ae46);
    expect(kvmVmRequest.SET_GSI_ROUTING).toBe(0x4008_ae6a);
    expect(kvmVmRequest.IRQFD).toBe(0x4020_ae76);
    expect(kvmSystemRequest.GET_SUPPORTED_CPUID).toBe(0xc008_ae05);
  });

  test("of VFIO and iommufd have type ';' and no size", () => {
    for (const request of [vfioRequest, iommufdRequest].flatMap((table): number[] => Object.values(table)))
      expect(request).toBe(io(";".charCodeAt(0), request % 256));
    expect(vfioRequest.GET_API_VERSION % 256).toBe(100);
  });
});
