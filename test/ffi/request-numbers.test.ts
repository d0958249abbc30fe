// A number that its place in a request cannot hold never reaches the kernel, whichever request and whichever argument:
// cut to 32 bits, it would name another object.
import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import * as ffi from "../../src/ffi/index.ts";
import { KvmDebugregs, KvmFpu, KvmLapicState, KvmRegs, KvmSregs } from "../../src/regs/ioctl/index.ts";
import {
  kvmArmRequest,
  KvmMpState,
  KvmVcpuEvents,
  KvmXcrs,
  create,
  iommufdRequest,
  vfioRequest,
} from "../../src/regs/ioctl/index.ts";
import { fakeIoctl } from "../support/fake-ioctl.ts";

type Call = (...args: unknown[]) => unknown;
const folder = `${import.meta.dir}/../../src/ffi`;
const files = readdirSync(folder).filter((name) => /^(ioctl|(vfio|iommufd|kvm)-.*)\.ts$/.test(name));
const modules = await Promise.all(files.map((name) => import(`${folder}/${name}`) as Promise<object>));
/** What these files have, of what bun-vfio/ffi exports. */
const functions = Object.fromEntries(
  modules
    .flatMap((module) => Object.entries(module) as [string, unknown][])
    .filter(([name, value]) => name in ffi && typeof value === "function" && /^[a-z]/.test(name)),
) as Readonly<Record<string, Call>>;

const bytes = (size: number): Uint8Array => new Uint8Array(new ArrayBuffer(size));
const dirty = { iova: 0n, size: 4096n, pageSize: 4096n, bitmap: bytes(8) };
const irqs = new ffi.IrqSetBuffer(4);
const eventfds = { index: 2, action: "trigger", start: 0, data: { kind: "eventfd", fds: [7, 8] } };
const vectors = { index: 2, action: "mask", start: 0, data: { kind: "none", count: 1 } };
const message = { addressLow: 1, addressHigh: 2, data: 3, requesterId: 4 };
const leaf = { leaf: 1, index: 0, indexed: true, eax: 1, ebx: 2, ecx: 3, edx: 4 };
const ioeventfd = { kind: "mmio", address: 4096n, width: 4, value: 1n };
const slot = { slot: 1, gpa: 0n, size: 4096n, hva: 4096n, flags: 0 };
const queue = { type: 1, index: 0, address: 0n, size: 4096n };
const copy = { from: 1, fromIova: 0n, to: 2, toIova: 0n, length: 4096n, flags: 0 };
const hwpt = { device: 1, parent: 2, flags: 0, dataType: 0, fault: 3 };

/** Where an ioctl takes a C `long`, and no struct. */
const long = 2 ** 40;

/** Arguments of each function that makes a request: numbers of at most 32 bits, bigints where the place has 64. */
const requests: Readonly<Record<string, readonly unknown[]>> = {
  ioctl: [3, vfioRequest.SET_IOMMU, long, { request: "VFIO_SET_IOMMU" }],
  ioctlOrErrno: [3, vfioRequest.SET_IOMMU, long],
  bindIommufd: [3, 4, undefined],
  attachIommufdPt: [3, 5, 6],
  detachIommufdPt: [3, 6],
  getApiVersion: [3],
  checkExtension: [3, 1],
  setIommu: [3, 1],
  getDeviceInfo: [3],
  getIrqInfo: [3, 2],
  exportDmaBuf: [3, 0, { offset: 0n, size: 4096n }],
  probeFeature: [3, 1],
  getFeature: [3, 1, bytes(8)],
  setFeature: [3, 1, bytes(8)],
  queryGfxPlane: [3, 1, 0],
  getGfxDmabuf: [3, 9],
  getGroupStatus: [3],
  setGroupContainer: [3, 4],
  unsetGroupContainer: [3],
  getGroupDeviceFd: [3, "0000:01:00.0"],
  setIoeventfd: [3, 4, 64n, 1n, 7],
  setIrqs: [3, eventfds, irqs],
  trySetIrqs: [3, vectors, irqs],
  getPrecopyInfo: [3],
  getRegionInfo: [3, 7],
  resetDevice: [3],
  getHotResetInfo: [3],
  hotReset: [3, [4, 5]],
  getIommuInfo: [3],
  hasIommu: [3],
  mapDma: [3, 3, 4096n, 0n, 4096n],
  unmapDma: [3, 0, 0n, 4096n],
  unmapDmaDirty: [3, dirty],
  setDirtyLog: [3, true],
  getDirtyBitmap: [3, dirty],
  enableIommu: [3],
  disableIommu: [3],
  getHardwareInfo: [3, 1, 1],
  allocFaultQueue: [3],
  allocHwpt: [3, hwpt],
  invalidateHwpt: [3, { id: 1, dataType: 0, entrySize: 8 }, bytes(16)],
  setHwptDirtyTracking: [3, 1, true],
  getHwptDirtyBitmap: [3, 1, { iova: 0n, size: 4096n }, 4096n, bytes(8), 0],
  destroyObject: [3, 7],
  allocIoas: [3],
  getIovaRanges: [3, 7],
  allowIovas: [3, 7, [{ first: 0n, last: 4095n }]],
  copyIoas: [3, copy],
  changeIoasProcess: [3],
  getPhysicalAddress: [3, 7, 0n, 4096n],
  mapIoas: [3, 7, 0, 4096n, 4096n, 0n],
  mapIoasFile: [3, 7, 0, 9, 0n, 4096n, 0n],
  knowsMapFile: [3],
  unmapIoas: [3, 7, 0n, 4096n],
  getIommuOption: [3, 1, 7],
  setIommuOption: [3, 1, 7, 1n],
  getVfioIoas: [3],
  setVfioIoas: [3, 7],
  clearVfioIoas: [3],
  answersAsIommufd: [3],
  allocViommu: [3, 1, 2, 4],
  allocVdevice: [3, 1, 2, 5n],
  allocEventQueue: [3, 1, 2, 16],
  allocHardwareQueue: [3, 1, queue],
  createKvmDevice: [3, "VFIO"],
  hasKvmDevice: [3, "VFIO"],
  setVfioFile: [3, 4, "FILE_ADD"],
  initArmVcpu: [3, 4, ["PSCI_0_2"]],
  setKvmDeviceAttribute: [3, 1, 2n, bytes(8), "GROUP"],
  setGsiRouting: [3, new Uint32Array(new ArrayBuffer(8))],
  assignIrqfd: [3, 4, 24, 5],
  deassignIrqfd: [3, 4, 24],
  signalMsi: [3, message, true],
  setIrqLine: [3, 5, true],
  setKvmIoeventfd: [3, ioeventfd, 7, true],
  setUserMemoryRegion: [3, slot],
  getDirtyLog: [3, 1, 64],
  getKvmApiVersion: [3],
  createVm: [3, 0],
  checkKvmExtension: [3, "IRQFD_RESAMPLE"],
  getVcpuMmapSize: [3],
  getSupportedCpuid: [3],
  getMsrIndexList: [3],
  runVcpu: [3],
  setSignalMask: [3, 1n],
  getRegs: [3],
  setRegs: [3, create(KvmRegs)],
  getSregs: [3],
  setSregs: [3, create(KvmSregs)],
  getFpu: [3],
  setFpu: [3, create(KvmFpu)],
  getXcrs: [3],
  setXcrs: [3, create(KvmXcrs)],
  getDebugregs: [3],
  setDebugregs: [3, create(KvmDebugregs)],
  getLapic: [3],
  setLapic: [3, create(KvmLapicState)],
  getVcpuEvents: [3],
  setVcpuEvents: [3, create(KvmVcpuEvents)],
  getMpState: [3],
  setMpState: [3, create(KvmMpState)],
  getXsave: [3, 8192],
  setXsave: [3, bytes(4096)],
  getCpuid: [3],
  setCpuid: [3, [leaf]],
  getMsrs: [3, [0x10]],
  setMsrs: [3, [{ index: 0x10, data: 1n }]],
  injectNmi: [3],
  injectInterrupt: [3, 32],
  getOneReg: [3, 1n, 8],
  setOneReg: [3, 1n, bytes(8)],
  createVcpu: [3, 0],
  enableVmCapability: [3, "MSI_DEVID" as never, [1n]],
  setTssAddress: [3, 4096],
  createIrqchip: [3],
  createPit2: [3, 1],
  getIrqchip: [3, 0],
  setIrqchip: [3, bytes(520)],
  getPit2: [3],
  setPit2: [3, bytes(112)],
  getClock: [3],
  setClock: [3, 1n],
};

/** What is exported beside them: no requests. */
const others = /^(askInfo|capabilityView|encodeRouting|infoCapabilities|irqSetText|malformed|still)$/;

/** A number inside the arguments of a call: where it is, and the same arguments with another value there. */
interface Place {
  readonly path: string;
  readonly value: number | bigint;
  with(other: unknown): readonly unknown[];
}

function placesIn(
  value: unknown,
  path: string,
): { path: string; value: number | bigint; put: (v: unknown) => unknown }[] {
  if (typeof value === "number" || typeof value === "bigint") return [{ path, value, put: (other) => other }];
  if (typeof value !== "object" || value === null) return [];
  const plain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  if (!plain) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    placesIn(inner, `${path}.${key}`).map(({ path, value: found, put }) => ({
      path,
      value: found,
      put: (other: unknown) =>
        Array.isArray(value)
          ? value.map((one: unknown, i) => (String(i) === key ? put(other) : one))
          : { ...value, [key]: put(other) },
    })),
  );
}

const placesOf = (args: readonly unknown[]): Place[] =>
  placesIn(args, "").map(({ path, value, put }) => ({
    path,
    value,
    with: (other) => put(other) as unknown[],
  }));

test("every function that makes a request is here", () => {
  const exported = Object.keys(functions).filter((name) => !others.test(name));
  expect(exported.sort()).toEqual(Object.keys(requests).sort());
});

test("every request of VFIO and iommufd is made by one of them", () => {
  using kernel = fakeIoctl();
  for (const [name, args] of Object.entries(requests))
    try {
      if (!name.startsWith("ioctl")) functions[name]!(...args);
    } catch {
      // The kernel's answer is of zeros, which not every function takes for one.
    }
  const made = new Set(kernel.asked.map(({ request }) => request));
  for (const table of [vfioRequest, iommufdRequest])
    for (const [name, number] of Object.entries(table))
      expect([name, made.has(number)]).toEqual([name, true]);
});

/** What initArmVcpu asks first, of the machine. */
const preferredTarget = kvmArmRequest.PREFERRED_TARGET;

describe("a value that its place cannot hold is refused before the call", () => {
  for (const [name, args] of Object.entries(requests))
    test(name, () => {
      using kernel = fakeIoctl();
      const call = (given: readonly unknown[]): unknown => {
        try {
          functions[name]!(...given);
        } catch (error) {
          return error;
        }
        return undefined;
      };
      call(args);
      expect(kernel.asked.length).toBeGreaterThan(0);
      kernel.asked.length = 0;
      const places = placesOf(args);
      expect(places.length).toBeGreaterThan(0);
      for (const place of places) {
        const beyond =
          typeof place.value === "bigint"
            ? [2n ** 64n, -1n, -1, 2 ** 53]
            : place.value === long
              ? [-1, 2 ** 53]
              : [2 ** 32 + 3, -(2 ** 32)];
        for (const value of [3.9, NaN, Infinity, ...beyond]) {
          const error = call(place.with(value));
          expect([place.path, value, error]).toEqual([place.path, value, expect.any(RangeError)]);
          expect((error as Error).message).toContain(String(value));
        }
        for (const value of ["3", null, {}]) {
          const error = call(place.with(value));
          expect([place.path, value, error]).toEqual([place.path, value, expect.any(TypeError)]);
        }
        // The request that has the value is not made; one before it may be.
        const made = kernel.asked.splice(0).filter(({ request }) => request !== preferredTarget);
        expect([place.path, made]).toEqual([place.path, []]);
      }
    });
});
