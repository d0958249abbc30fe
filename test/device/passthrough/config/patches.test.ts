import { expect, test } from "bun:test";
import { configImageOf } from "../../../../src/device/pci/config-image.ts";
import { planAttach } from "../../../../src/device/passthrough/attach-plan.ts";
import type { AttachOptions } from "../../../../src/device/passthrough/options.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { walkExtendedCapabilities } from "../../../../src/regs/index.ts";
import { attach } from "../../../support/attached.ts";
import { syntheticImage } from "../../../support/synthetic-image.ts";

test("defect 6: ATS, PRI and PASID are hidden, and can be shown", () => {
  const image = syntheticImage({ pcie: true, extended: [0x01, 0x0f, 0x13, 0x1b, 0x03] });
  using backend = new RecordedDevice(image);
  const shown = (options: AttachOptions): number[] => {
    const context = {
      backend,
      platform: { pageSize: 4096 },
      options,
      vectors: { msi: 1, msix: 1 },
    };
    const { tables } = planAttach(context, configImageOf(image.config));
    return walkExtendedCapabilities(tables.shadow).found.map(({ id }) => id);
  };
  expect(shown({})).toEqual([0x01, 0x03]);
  expect(shown({ expose: [0x0f, 0x13, 0x1b] })).toEqual([0x01, 0x0f, 0x13, 0x1b, 0x03]);
});

test("defect 9: the GPUDirect clique and the hidden capabilities come back with a restore", () => {
  const device = { vendorId: 0x10de, pm: true, pcie: true, extended: [0x01, 0x10] };
  using guest = attach(device, { attach: { gpuDirectClique: 5 } });
  const seen = (from: typeof guest): number[] =>
    [0xd4, 0xd8, 0x100, 0x140].map((offset) => from.device.configRead(offset, 4));
  expect(seen(guest)[1]).toBe((5 << 19) | 0x5032);
  using back = attach(device, { snapshot: guest.device.snapshot() });
  expect(seen(back)).toEqual(seen(guest));
});
