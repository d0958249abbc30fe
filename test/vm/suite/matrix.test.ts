// machines: intel (virtio, none, intel-old, intel-new, amd, none-new, arm, arm-16k) [virtio-new, musl, arm-none]
// takes: 20 s
// Every device by every way: open, describe, map, interrupt, reset, close; and nothing is left.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { read } from "bun:ffi";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import { physicalGeometry } from "../../../src/device/pci/msix-geometry.ts";
import { openDevice } from "../../../src/device/backends/kernel/open-device.ts";
import { IrqIndex } from "../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import { layoutOf } from "../../../src/regs/index.ts";
import { deviceMappings, deviceNames, devices, hasIommu, ownDescriptors, take } from "./support/devices.ts";
import { ways, type Way } from "./support/apis.ts";
import { apis, refusal, shapes, type Api, type Shape, type Shaped } from "./support/matrix.ts";
import { token, virtualFunction, type VirtualFunction } from "./support/virtual-function.ts";
import { hasIommufd, page, takesTokenByCdev } from "./support/rules.ts";

function dword(device: KernelDevice, region: number, offset: number): number {
  const bytes = new Uint8Array(new ArrayBuffer(4));
  device.read(region, offset, bytes);
  return new DataView(bytes.buffer).getUint32(0, true);
}

function setCommand(device: KernelDevice, bits: number): void {
  const bytes = new Uint8Array(new ArrayBuffer(2));
  device.read(RegionIndex.config, 4, bytes);
  bytes[0] = (bytes[0]! & ~7) | bits;
  device.write(RegionIndex.config, 4, bytes);
}

/** One cell of the matrix. @param vfToken of a virtual function */
function passes(name: Shaped, bdf: string, { options, api }: Way, vfToken?: string): void {
  const before = { fds: ownDescriptors(), maps: deviceMappings() };
  const device = openDevice(bdf, { ...options, vfToken });
  try {
    expect(device.api).toBe(api);
    expect(device.explain[0]).toContain(api);
    describes(device, name);
    mapsBars(device, shapes[name]);
    raises(device, name);
    expect(device.resettable).toBe(true);
    device.reset();
    expect(dword(device, RegionIndex.config, 0)).toBe(idOf(name));
    expect(device.features().lowPowerEntry).toEqual({ get: false, set: true });
  } finally {
    device[Symbol.dispose]();
  }
  expect(() => device.reset()).toThrow(`${bdf} is closed`);
  expect(ownDescriptors()).toEqual(before.fds);
  expect(deviceMappings()).toEqual(before.maps);
}

describe.each(ways)("$name", (way) => {
  test.each(deviceNames)("%s: opened, described, mapped, interrupted, reset, closed", (name) => {
    passes(name, take(name), way);
  });
});

const refused = apis.flatMap((api) => {
  const why = refusal(api, { iommu: hasIommu, iommufd: hasIommufd });
  return why === undefined ? [] : [{ api, why }];
});
/** @throws where the device can be opened */
function isRefused(bdf: string, api: Api, vfToken?: string): void {
  const before = ownDescriptors();
  const options = api === "type1v2" || api === "type1" ? ({ api: "group", type1: api } as const) : { api };
  // Where the kernel lacks the API as a whole, its container says so, for any device.
  expect(() => openDevice(bdf, { ...options, vfToken })[Symbol.dispose]()).toThrow(
    expect.objectContaining({ name: "VfioError", ...(hasIommufd && { device: bdf }) }),
  );
  expect(ownDescriptors()).toEqual(before);
}

test("every API is tried or has a reason", () => {
  expect([...ways.map(({ name }) => name), ...refused.map(({ api }) => api)].toSorted()).toEqual(
    apis.toSorted(),
  );
});

// What is refused is refused though the mode without an IOMMU is allowed.
const parameter = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
if (existsSync(parameter)) {
  const was = readFileSync(parameter, "utf8");
  beforeAll(() => writeFileSync(parameter, "1"));
  afterAll(() => writeFileSync(parameter, was));
}

test.each(refused)("$api refuses every device: $why", ({ api }) => {
  for (const name of deviceNames) isRefused(take(name), api);
});

describe("a virtual function", () => {
  let made: VirtualFunction;
  beforeAll(() => {
    made = virtualFunction();
  });
  afterAll(() => made[Symbol.dispose]());
  const tokenFor = (api: string): string | undefined =>
    api === "iommufd" && !takesTokenByCdev ? undefined : token;
  test.each(ways)("$name: opened, described, mapped, interrupted, reset, closed", (way) => {
    passes("igb VF", made.bdf, way, tokenFor(way.api));
  });
  test.each(refused)("$api refuses it: $why", ({ api }) => isRefused(made.bdf, api, tokenFor(api)));
});

/** A virtual function of QEMU's igb is an 82576's. */
const idOf = (name: Shaped): number => {
  const [vendor, id] = (name === "igb VF" ? "8086:10ca" : devices[name])
    .split(":")
    .map((part) => parseInt(part, 16));
  return ((id! << 16) | vendor!) >>> 0;
};

function describes(device: KernelDevice, name: Shaped): void {
  expect(device.info.isPci).toBe(true);
  expect(dword(device, RegionIndex.config, 0)).toBe(idOf(name));
  expect([256, 4096]).toContain(device.regions[RegionIndex.config]!.size);
  const { mapped, unmapped }: Shape = shapes[name];
  const bars = { ...mapped } as Record<number, number>;
  for (const [index, { size }] of Object.entries(unmapped)) bars[Number(index)] = size;
  const there = device.regions.slice(0, 6).filter(({ size }) => size > 0);
  expect(Object.fromEntries(there.map(({ index, size }) => [index, size]))).toEqual(bars);
  const { intx, msi, msix } = shapes[name].vectors;
  expect([IrqIndex.intx, IrqIndex.msi, IrqIndex.msix].map((index) => device.irqs[index]!.count)).toEqual([
    intx,
    msi,
    msix,
  ]);
  expect(device.irqs[IrqIndex.request]!.count).toBe(1);
}

/** Maps every area that can be mapped, and finds there what `read` finds. */
function mapsBars(device: KernelDevice, shape: Shape): void {
  setCommand(device, 2);
  const config = new Uint8Array(new ArrayBuffer(device.regions[RegionIndex.config]!.size));
  device.read(RegionIndex.config, 0, config);
  const msix = layoutOf(config).capabilities.find(({ id, extended }) => id === 0x11 && !extended);
  const table = msix && physicalGeometry(config, msix).table;
  const mapped: string[] = [];
  for (const region of device.regions.slice(0, 6)) {
    if (region.mappable) {
      using mapping = device.map(region.index, { offset: 0, size: region.size });
      expect(mapping.size).toBe(region.size);
      expect(mapping.hva % Math.min(region.size, 2 ** 30)).toBe(0);
      mapped.push(String(region.index));
      // The dword at 8 is a version, a constant or 0 in each of these devices. `read` keeps the MSI-X table to the kernel.
      const at = table?.region === region.index && table.offset === 0 ? table.size : 8;
      const there = read.u32(mapping.hva as Parameters<typeof read.u32>[0], at);
      expect(there).toBe(dword(device, region.index, at));
    } else if (region.size > 0)
      expect(() => device.map(region.index, { offset: 0, size: page })).toThrow(
        expect.objectContaining({ code: "EINVAL" }),
      );
  }
  expect(mapped).toEqual(Object.keys(shape.mapped));
  setCommand(device, 0);
}

/** Every interrupt that the device has is enabled and raised, and arrives where it should. */
function raises(device: KernelDevice, name: Shaped): void {
  const results = device.selfTest(80);
  expect(results.filter(({ problems }) => problems.length > 0)).toEqual([]);
  const { intx, msi, msix } = shapes[name].vectors;
  const tried = Object.fromEntries(results.map(({ name: irq, tried: count }) => [irq, count]));
  expect([tried.INTX ?? 0, tried.MSI ?? 0, tried.MSIX ?? 0, tried.REQ]).toEqual([intx, msi, msix, 1]);
}
