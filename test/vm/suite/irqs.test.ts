// machines: intel (virtio, none, amd, none-new, arm) [intel-old]
// VFIO_DEVICE_SET_IRQS in all its forms, on devices that raise interrupts by themselves too.
import { describe, expect, test } from "bun:test";
import { Eventfd, waitReadable } from "../../../src/ffi/eventfd.ts";
import { IrqIndex, type IrqRequest } from "../../../src/regs/vfio/irqs.ts";
import { RegionIndex } from "../../../src/regs/vfio/regions.ts";
import type { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import { traceSyscalls } from "../../../src/ffi/trace.ts";
import { vfioRequest } from "../../../src/regs/ioctl/vfio-requests.ts";
import { driverOf, sysDevices, take } from "./support/devices.ts";
import { open, ways } from "./support/apis.ts";
import { quieten } from "./support/edu.ts";
import { addsVectors, offersErrorsEverywhere } from "./support/rules.ts";

const none = (index: number, action: IrqRequest["action"], start = 0, count = 1): IrqRequest => ({
  index,
  action,
  start,
  data: { kind: "none", count },
});
const bool = (
  index: number,
  action: IrqRequest["action"],
  start: number,
  ...values: boolean[]
): IrqRequest => ({
  index,
  action,
  start,
  data: { kind: "bool", values },
});
const eventfds = (
  index: number,
  action: IrqRequest["action"],
  start: number,
  ...fds: number[]
): IrqRequest => ({
  index,
  action,
  start,
  data: { kind: "eventfd", fds },
});

/** edu's registers (QEMU docs/specs/edu.rst): writing 0x60 raises an interrupt, writing 0x64 takes it back. */
function raiseEdu(device: KernelDevice): void {
  write(device, 0, 0x60, 1);
}
const acknowledgeEdu = (device: KernelDevice): void => write(device, 0, 0x64, 1);

function write(device: KernelDevice, region: number, offset: number, value: number): void {
  const bytes = new Uint8Array(new ArrayBuffer(4));
  new DataView(bytes.buffer).setUint32(0, value, true);
  device.write(region, offset, bytes);
}

/** Memory decoding and bus mastering on, INTx not disabled; an interrupt that was left to edu is taken back. */
function enable(device: KernelDevice): void {
  quieten(device);
  device.write(RegionIndex.config, 4, Uint8Array.of(0x06, 0x00));
}

const way = ways[0]!;

describe("INTx", () => {
  test("arrives once and is masked; unmasked while it is asserted, it arrives again: each way to mask and unmask", () => {
    using device = open(take("edu"), way);
    using trigger = new Eventfd();
    enable(device);
    device.setIrqs(eventfds(IrqIndex.intx, "trigger", 0, trigger.fd));
    const arrives = (): boolean => waitReadable(trigger.fd, 2000);
    raiseEdu(device);
    expect(arrives()).toBe(true);
    expect(trigger.drain()).toBe(1);
    // Automasked: the line is still asserted, and nothing comes.
    expect(waitReadable(trigger.fd, 50)).toBe(false);
    device.setIrqs(none(IrqIndex.intx, "unmask"));
    expect(arrives()).toBe(true);
    trigger.drain();
    device.setIrqs(bool(IrqIndex.intx, "unmask", 0, false));
    expect(waitReadable(trigger.fd, 50)).toBe(false);
    device.setIrqs(bool(IrqIndex.intx, "unmask", 0, true));
    expect(arrives()).toBe(true);
    trigger.drain();
    // By eventfd, as a hypervisor's resampling does.
    using unmask = new Eventfd();
    device.setIrqs(eventfds(IrqIndex.intx, "unmask", 0, unmask.fd));
    unmask.signal();
    expect(arrives()).toBe(true);
    trigger.drain();
    acknowledgeEdu(device);
    unmask.signal();
    expect(waitReadable(trigger.fd, 50)).toBe(false);
    // Masked by hand, by both ways; the interrupt waits.
    for (const mask of [none(IrqIndex.intx, "mask"), bool(IrqIndex.intx, "mask", 0, true)]) {
      device.setIrqs(mask);
      raiseEdu(device);
      expect(waitReadable(trigger.fd, 50)).toBe(false);
      device.setIrqs(none(IrqIndex.intx, "unmask"));
      expect(arrives()).toBe(true);
      trigger.drain();
      acknowledgeEdu(device);
      device.setIrqs(none(IrqIndex.intx, "unmask"));
      trigger.drain();
    }
    // Loop-back, by both ways.
    device.setIrqs(none(IrqIndex.intx, "trigger"));
    expect(trigger.drain()).toBe(1);
    device.setIrqs(bool(IrqIndex.intx, "trigger", 0, true));
    expect(trigger.drain()).toBe(1);
    device.setIrqs(eventfds(IrqIndex.intx, "unmask", 0, -1));
    // MASK by eventfd is what Linux does not do.
    expect(() => device.setIrqs(eventfds(IrqIndex.intx, "mask", 0, unmask.fd))).toThrow(
      "VFIO_DEVICE_SET_IRQS INTX mask eventfd start 0 count 1 fails with ENOTTY",
    );
    device.setIrqs(none(IrqIndex.intx, "trigger", 0, 0));
    expect(() => device.setIrqs(none(IrqIndex.intx, "trigger"))).toThrow("EINVAL");
  });
});

describe("MSI", () => {
  test("is raised by the device itself; INTx is refused meanwhile, with a reason", () => {
    using device = open(take("edu"), way);
    using trigger = new Eventfd();
    enable(device);
    device.setIrqs(eventfds(IrqIndex.msi, "trigger", 0, trigger.fd));
    raiseEdu(device);
    expect(waitReadable(trigger.fd, 2000)).toBe(true);
    expect(trigger.drain()).toBe(1);
    const refused = (): void => device.setIrqs(eventfds(IrqIndex.intx, "trigger", 0, trigger.fd));
    expect(refused).toThrow(
      expect.objectContaining({
        code: "EINVAL",
        errno: 22,
        syscall: "ioctl",
        request: "VFIO_DEVICE_SET_IRQS INTX trigger eventfd start 0 count 1",
        device: device.name,
        hint: expect.stringContaining("Another kind of interrupt is on"),
      }),
    );
    device.setIrqs(none(IrqIndex.msi, "trigger", 0, 0));
    device.setIrqs(eventfds(IrqIndex.intx, "trigger", 0, trigger.fd));
  });
});

describe("MSI-X", () => {
  test("vectors are added while others are on, where NORESIZE is clear, taken away, and raised one by one", () => {
    using device = open(take("nvme"), way);
    expect(device.irqs[IrqIndex.msix]).toMatchObject({ count: 65, noResize: !addsVectors });
    using resources = new DisposableStack();
    const fds = Array.from({ length: 8 }, () => resources.use(new Eventfd()));
    const counts = (): number[] => fds.map((fd) => fd.drain());
    if (!addsVectors) {
      // All that will be wanted have to be there first.
      device.setIrqs(eventfds(IrqIndex.msix, "trigger", 0, fds[0]!.fd));
      const more = (): void => device.setIrqs(eventfds(IrqIndex.msix, "trigger", 5, fds[5]!.fd));
      expect(more).toThrow(expect.objectContaining({ code: "EINVAL" }));
      device.setIrqs(none(IrqIndex.msix, "trigger", 0, 0));
      device.setIrqs(eventfds(IrqIndex.msix, "trigger", 0, fds[0]!.fd, ...Array<number>(7).fill(-1)));
    }
    device.setIrqs(eventfds(IrqIndex.msix, "trigger", 0, fds[0]!.fd));
    device.setIrqs(eventfds(IrqIndex.msix, "trigger", 5, fds[5]!.fd, fds[6]!.fd));
    device.setIrqs(bool(IrqIndex.msix, "trigger", 0, true, false, false, false, false, true, true));
    expect(counts()).toEqual([1, 0, 0, 0, 0, 1, 1, 0]);
    device.setIrqs(eventfds(IrqIndex.msix, "trigger", 5, -1));
    device.setIrqs(eventfds(IrqIndex.msix, "trigger", 7, fds[7]!.fd));
    device.setIrqs(none(IrqIndex.msix, "trigger", 0, 8));
    expect(counts()).toEqual([1, 0, 0, 0, 0, 0, 1, 1]);
    expect(() => device.setIrqs(eventfds(IrqIndex.msix, "trigger", 64, fds[0]!.fd, fds[1]!.fd))).toThrow(
      "EINVAL",
    );
    expect(() => device.setIrqs(eventfds(IrqIndex.msix, "trigger", 1, 0))).toThrow(
      expect.objectContaining({ code: "EINVAL" }),
    );
    expect(() => device.setIrqs(eventfds(IrqIndex.msix, "trigger", 0, 1.5))).toThrow(RangeError);
    device.setIrqs(none(IrqIndex.msix, "trigger", 0, 0));
  });
});

test("a driver's vectors: added one by one on nvme; on edu, which has one", () => {
  using nvme = open(take("nvme"), way);
  using vectors = nvme.vectors(IrqIndex.msix);
  const fds = [3, 0, 64].map((vector) => vectors.arm(vector));
  nvme.setIrqs(bool(IrqIndex.msix, "trigger", 0, true));
  nvme.setIrqs(bool(IrqIndex.msix, "trigger", 64, true));
  // Where a kernel cannot add 64 to the others, those are off for a moment, and each is told that it may have missed something.
  expect(fds.map((fd) => fd.drain())).toEqual(addsVectors ? [0, 1, 1] : [1, 2, 1]);
  using edu = open(take("edu"), way);
  using single = edu.vectors(IrqIndex.msi);
  enable(edu);
  const eventfd = single.arm(0);
  raiseEdu(edu);
  expect(waitReadable(eventfd.fd, 2000)).toBe(true);
  acknowledgeEdu(edu);
});

test("a driver's vectors: all by one request, each its own; and none is told of having been off", () => {
  using device = open(take("nvme"), way);
  const requests: number[] = [];
  using _ = traceSyscalls(({ name, args }) => {
    if (name === "ioctl" && Number(args[1]) === vfioRequest.DEVICE_SET_IRQS)
      requests.push(new DataView((args[2] as Uint8Array).buffer).getUint32(16, true));
  });
  using vectors = device.vectors(IrqIndex.msix);
  const fds = vectors.armAll();
  expect(requests).toEqual([65]);
  const counts = (): number[] => fds.map((fd) => fd.drain());
  const told = (...vectors: number[]): number[] => fds.map((_, vector) => Number(vectors.includes(vector)));
  expect(counts()).toEqual(told());
  for (const vector of [0, 31, 64]) {
    device.setIrqs(bool(IrqIndex.msix, "trigger", vector, true));
    expect(counts()).toEqual(told(vector));
  }
  expect(vectors.arm(64)).toBe(fds[64]!);
});

describe("what the device tells", () => {
  for (const one of ways)
    test(`${one.name}: an error and the host's wish to have it back are events`, async () => {
      using device = open(take("nvme"), one);
      const heard: string[] = [];
      using _error = device.on("error", () => heard.push("error"));
      using request = device.on("remove-requested", () => heard.push("remove-requested"));
      device.selfTest(2);
      device.setIrqs(none(IrqIndex.error, "trigger"));
      for (let i = 0; i < 200 && heard.length < 1; i++) await Bun.sleep(10);
      device.setIrqs(bool(IrqIndex.request, "trigger", 0, true));
      for (let i = 0; i < 200 && heard.length < 2; i++) await Bun.sleep(10);
      expect(heard).toEqual(["error", "remove-requested"]);
      request[Symbol.dispose]();
      // Nobody is told any longer: the kernel has no eventfd to signal.
      expect(() => device.setIrqs(none(IrqIndex.request, "trigger"))).toThrow(
        "VFIO_DEVICE_SET_IRQS REQ trigger none start 0 count 1 fails with EINVAL",
      );
    });

  test("the host's wish comes when its driver is taken from it, which then waits for the close", async () => {
    const bdf = take("edu");
    using device = open(bdf, way);
    const asked = Promise.withResolvers<void>();
    device.on("remove-requested", () => asked.resolve());
    const unbind = Bun.spawn(["sh", "-c", `echo ${bdf} > ${sysDevices}/${bdf}/driver/unbind`]);
    await asked.promise;
    // The device still answers, but is not reset any longer: the host waits, and holds its lock.
    device.read(RegionIndex.config, 0, new Uint8Array(4));
    expect(() => device.reset()).toThrow(
      expect.objectContaining({ code: "EAGAIN", hint: expect.stringContaining("its driver is being taken") }),
    );
    expect(unbind.exitCode).toBeNull();
    device[Symbol.dispose]();
    expect(await unbind.exited).toBe(0);
    expect(driverOf(bdf)).toBeUndefined();
  });

  // The kernel waits 10 s between its requests: on one machine.
  if (process.env.BUN_VFIO_VM_MACHINE === "intel")
    test("the host's wish is heard by who listens later, too", async () => {
      const bdf = take("edu");
      using device = open(bdf, way);
      const unbind = Bun.spawn(["sh", "-c", `echo ${bdf} > ${sysDevices}/${bdf}/driver/unbind`]);
      const nobodyListens = (): boolean =>
        Bun.spawnSync(["dmesg"]).stdout.toString().includes("No device request channel registered");
      while (!nobodyListens()) await Bun.sleep(50);
      const asked = Promise.withResolvers<void>();
      device.on("remove-requested", () => asked.resolve());
      await asked.promise;
      device[Symbol.dispose]();
      expect(await unbind.exited).toBe(0);
    });

  test("a device without ERR says so; later kernels let every device tell of errors", () => {
    using device = open(take("edu"), way);
    const listen = (): void => device.on("error", () => {})[Symbol.dispose]();
    if (offersErrorsEverywhere) expect(listen).not.toThrow();
    else expect(listen).toThrow(expect.objectContaining({ code: "EOPNOTSUPP" }));
  });
});
