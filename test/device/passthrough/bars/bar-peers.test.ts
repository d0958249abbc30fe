import { expect, spyOn, test } from "bun:test";
import { attach, memory } from "../../../support/attached.ts";

test("peers are given a BAR as what it is: device memory, with its dma-buf where there is one", () => {
  for (const dmaBuf of [undefined, 17]) {
    const asked: unknown[] = [];
    using guest = attach(
      { bars: { 0: { size: 0x1000 } } },
      {
        prepare: (backend, platform) => {
          const map = backend.map.bind(backend);
          backend.map = (region, area) => Object.assign(map(region, area), { dmaBuf });
          const mapDma = platform.dma!.map.bind(platform.dma);
          spyOn(platform.dma!, "map").mockImplementation((mapping) => {
            asked.push(mapping);
            mapDma(mapping);
          });
        },
      },
    );
    guest.device.configWrite(0x04, 2, memory);
    const file = dmaBuf === undefined ? undefined : { fd: dmaBuf, offset: 0 };
    expect(asked).toMatchObject([{ size: 0x1000, deviceMemory: true, file }]);
  }
});
