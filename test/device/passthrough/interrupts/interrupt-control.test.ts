import { expect, test } from "bun:test";
import { attach, memory, writeVector } from "../../../support/attached.ts";
import { at } from "../../../support/synthetic-image.ts";

test("defect 40: routes of MSI and of MSI-X carry the device's requester ID", () => {
  const device = {
    bars: { 0: { size: 0x1000 } },
    msi: { log2: 0 },
    msix: { vectors: 1, table: [0, 0], pba: [0, 0x800] } as const,
  };
  using guest = attach(device, { attach: { requesterId: 0x0123 } });
  const requesters = (): number[] => guest.platform.state().routes.map(({ message }) => message.requesterId);
  guest.device.configWrite(at.msi + 4, 4, 0xfee00000);
  guest.device.configWrite(at.msi + 2, 2, 1);
  expect(requesters()).toEqual([0x0123]);
  guest.device.configWrite(at.msi + 2, 2, 0);
  guest.device.configWrite(0x04, 2, memory);
  writeVector(guest.device, guest.device.configRead(0x10, 4), 0, 0x41);
  guest.device.configWrite(at.msix + 2, 2, 0x8000);
  expect(requesters()).toEqual([0x0123]);
});

test("defect 49: an open device's masked vectors take no route, and a closed one's are all given back", () => {
  using guest = attach({
    bars: { 0: { size: 0x10000 } },
    msix: { vectors: 2048, table: [0, 0], pba: [0, 0x8000] },
  });
  guest.device.configWrite(0x04, 2, memory);
  writeVector(guest.device, guest.device.configRead(0x10, 4), 2047, 0x41);
  guest.device.configWrite(at.msix + 2, 2, 0x8000);
  expect(guest.platform.state().routes.map(({ vector }) => vector)).toEqual([2047]);
  guest.device[Symbol.dispose]();
  expect(guest.platform.state().routes).toEqual([]);
});
