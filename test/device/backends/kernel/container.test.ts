import { expect, test } from "bun:test";
import { Container } from "../../../../src/device/backends/kernel/container.ts";
import { iommufdRequest, vfioRequest } from "../../../../src/regs/ioctl/index.ts";
import { fakeIoctl } from "../../../support/fake-ioctl.ts";
import { fakeHost } from "./fake-host.ts";

const bdf = "0000:01:00.0";

test("a container that does not tell what it maps when its first device comes has no IOMMU, and the next brings it", () => {
  using host = fakeHost();
  host.device(bdf, { driver: "vfio-pci", group: 12 });
  host.node("vfio/vfio");
  host.node("vfio/12");
  let tells = false;
  let started = 0;
  using _kernel = fakeIoctl(({ request }, memory) => {
    switch (request) {
      case vfioRequest.GET_API_VERSION:
        return 0;
      case iommufdRequest.VFIO_IOAS:
        return -25;
      case vfioRequest.GROUP_GET_STATUS:
        memory.setUint32(4, 1, true);
        return 0;
      case vfioRequest.SET_IOMMU:
        started++;
        return 0;
      case vfioRequest.IOMMU_GET_INFO:
        return tells ? 0 : -12;
      default:
        return 1;
    }
  });
  using container = Container.open({ host: host.files });
  expect(() => container.enter(bdf)).toThrow("ENOMEM");
  expect(container.groups).toEqual([]);
  expect(() => container.pageSize).toThrow("before a device is in it");
  tells = true;
  const { leave } = container.enter(bdf);
  expect(started).toBe(2);
  expect(container.pageSize).toBe(4096);
  leave();
});
