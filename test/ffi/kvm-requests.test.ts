// What each typed function of KVM asks the kernel, and what it makes of the answer.
import { describe, expect, test } from "bun:test";
import { decodeCpuid, encodeCpuid } from "../../src/ffi/kvm-cpuid.ts";
import * as device from "../../src/ffi/kvm-device.ts";
import * as interrupts from "../../src/ffi/kvm-interrupts.ts";
import * as memory from "../../src/ffi/kvm-memory.ts";
import * as system from "../../src/ffi/kvm-system.ts";
import * as vcpu from "../../src/ffi/kvm-vcpu.ts";
import * as vm from "../../src/ffi/kvm-vm.ts";
import * as uapi from "../../src/regs/ioctl/index.ts";
import { refusal } from "../support/refusal.ts";
import { bytesAt, fakeIoctl, type Answer, type Asked } from "../support/fake-ioctl.ts";

const { kvmSystemRequest, kvmVmRequest, kvmVcpuRequest, kvmDeviceRequest, view } = uapi;

/** The only request of a call. */
function asks(call: () => unknown, answer?: Answer): Asked {
  using kernel = fakeIoctl(answer);
  call();
  expect(kernel.asked.length).toBe(1);
  return kernel.asked[0]!;
}

describe("/dev/kvm", () => {
  test("requests that take a number", () => {
    const number = (call: () => unknown) => {
      const { request, number } = asks(call);
      return [request, number];
    };
    expect(number(() => system.getKvmApiVersion(5))).toEqual([kvmSystemRequest.GET_API_VERSION, 0]);
    expect(number(() => system.getVcpuMmapSize(5))).toEqual([kvmSystemRequest.GET_VCPU_MMAP_SIZE, 0]);
    expect(number(() => system.createVm(5))).toEqual([kvmSystemRequest.CREATE_VM, 0]);
    expect(number(() => system.checkKvmExtension(5, "IRQFD_RESAMPLE"))).toEqual([
      kvmSystemRequest.CHECK_EXTENSION,
      82,
    ]);
    expect(number(() => vm.createVcpu(6, 3))).toEqual([kvmVmRequest.CREATE_VCPU, 3]);
    expect(number(() => vm.setTssAddress(6, 0xfffb_d000))).toEqual([kvmVmRequest.SET_TSS_ADDR, 0xfffb_d000]);
    expect(number(() => vm.createIrqchip(6))).toEqual([kvmVmRequest.CREATE_IRQCHIP, 0]);
    expect(number(() => vcpu.injectNmi(7))).toEqual([kvmVcpuRequest.NMI, 0]);
  });

  test("CREATE_VM is made again where a signal ends it, but not for ever", () => {
    let left = 3;
    using kernel = fakeIoctl(() => (left-- > 0 ? -4 : 12));
    expect(system.createVm(5)).toBe(12);
    expect(kernel.asked.length).toBe(4);
    left = Infinity;
    expect(refusal(() => system.createVm(5)).code).toBe("EINTR");
    expect(kernel.asked.length).toBe(104);
  });

  test("the list of MSRs: as many as the kernel says", () => {
    const asked = asks(
      () => expect(system.getMsrIndexList(5)).toEqual([0x10, 0xc000_0080]),
      (_, list) => {
        list.setUint32(0, 2, true);
        list.setUint32(4, 0x10, true);
        list.setUint32(8, 0xc000_0080, true);
        return 0;
      },
    );
    expect([asked.bytes!.length, asked.bytes![1]]).toEqual([4 + 4 * 4096, 0x10]);
  });

  test("CPUID leaves, there and back; more than there is room for are refused", () => {
    const leaf = { leaf: 4, index: 2, indexed: true, eax: 1, ebx: 2, ecx: 3, edx: 0xffff_ffff };
    const encoded = encodeCpuid([leaf, { ...leaf, leaf: 5, indexed: false }]);
    expect(encoded.length).toBe(8 + 2 * 40);
    expect(view(uapi.KvmCpuidEntry2, encoded, 8)).toMatchObject({
      function: 4,
      index: 2,
      flags: 1,
      edx: 0xffff_ffff,
    });
    const asked = asks(
      () => expect(system.getSupportedCpuid(5)).toEqual(decodeCpuid(encoded)),
      (_, list) => {
        encoded.forEach((byte, i) => list.setUint8(i, byte));
        return 0;
      },
    );
    expect(new DataView(asked.bytes!.buffer).getUint32(0, true)).toBe(256);
    encoded[0] = 3;
    expect(refusal(() => decodeCpuid(encoded)).code).toBe("E2BIG");
  });
});

describe("a virtual machine", () => {
  test("memory slots, and the message of one that is refused", () => {
    const region = { slot: 3, gpa: 0x1_0000_0000, size: 0x2000, hva: 0x7f00_0000_0000, flags: 3 };
    expect(
      view(uapi.KvmUserspaceMemoryRegion, asks(() => memory.setUserMemoryRegion(6, region)).bytes!),
    ).toMatchObject({
      slot: 3,
      flags: 3,
      guest_phys_addr: 0x1_0000_0000n,
      memory_size: 0x2000n,
      userspace_addr: 0x7f00_0000_0000n,
    });
    using _ = fakeIoctl(() => -22);
    expect(refusal(() => memory.setUserMemoryRegion(6, region)).message).toBe(
      "KVM_SET_USER_MEMORY_REGION slot 3 at 0x100000000, 0x2000 bytes of 0x7f0000000000 LOG_DIRTY_PAGES+READONLY fails with EINVAL",
    );
  });

  test("the dirty log: a bit a page in whole words, where the pointer points", () => {
    const asked = asks(
      () => expect(memory.getDirtyLog(6, 2, 65).length).toBe(16),
      (_, log) => (bytesAt(log.getBigUint64(8, true), 16).length === 16 ? 0 : -14),
    );
    expect([asked.request, asked.bytes![0]]).toEqual([kvmVmRequest.GET_DIRTY_LOG, 2]);
  });

  test("the routing table: MSI entries carry the device ID only where KVM takes it", () => {
    const chips = [{ gsi: 3, chip: 2, pin: 3 }];
    const messages = new Map([[24, { addressLow: 1, addressHigh: 2, data: 3, requesterId: 4 }]]);
    const words = (withDevid: boolean) => [...interrupts.encodeRouting(chips, messages, withDevid)];
    const chip = [3, 1, 0, 0, 2, 3, 0, 0, 0, 0, 0, 0];
    expect(words(false)).toEqual([2, 0, ...chip, 24, 2, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0]);
    expect(words(true)).toEqual([2, 0, ...chip, 24, 2, 1, 0, 1, 2, 3, 4, 0, 0, 0, 0]);
    const table = interrupts.encodeRouting(chips, messages, true);
    const asked = asks(() => interrupts.setGsiRouting(6, table));
    expect([asked.request, asked.bytes!.length]).toEqual([kvmVmRequest.SET_GSI_ROUTING, 8 + 2 * 48]);
  });

  test("irqfds", () => {
    const of = (call: () => void) => view(uapi.KvmIrqfd, asks(call).bytes!);
    expect(of(() => interrupts.assignIrqfd(6, 9, 24, undefined))).toMatchObject({ fd: 9, gsi: 24, flags: 0 });
    expect(of(() => interrupts.assignIrqfd(6, 9, 10, 11))).toMatchObject({ flags: 2, resamplefd: 11 });
    expect(of(() => interrupts.deassignIrqfd(6, 9, 24))).toMatchObject({ fd: 9, gsi: 24, flags: 1 });
    using _ = fakeIoctl(() => -16);
    expect(refusal(() => interrupts.assignIrqfd(6, 9, 10, 11)).message).toBe(
      "KVM_IRQFD assign with resample, GSI 10 eventfd 9 fails with EBUSY",
    );
  });

  test("messages and lines", () => {
    const message = { addressLow: 0xfee0_1000, addressHigh: 1, data: 0x4055, requesterId: 0x108 };
    const sent = (withDevid: boolean) =>
      view(uapi.KvmMsi, asks(() => interrupts.signalMsi(6, message, withDevid)).bytes!);
    expect(sent(false)).toMatchObject({
      address_lo: 0xfee0_1000,
      address_hi: 1,
      data: 0x4055,
      flags: 0,
      devid: 0,
    });
    expect(sent(true)).toMatchObject({ flags: 1, devid: 0x108 });
    asks(
      () => expect(interrupts.signalMsi(6, message, false)).toBe(true),
      () => 1,
    );
    expect(view(uapi.KvmIrqLevel, asks(() => interrupts.setIrqLine(6, 5, true)).bytes!)).toMatchObject({
      irq: 5,
      level: 1,
    });
  });

  test("ioeventfds", () => {
    const of = (write: interrupts.IoeventfdWrite, on: boolean) =>
      view(uapi.KvmIoeventfd, asks(() => interrupts.setKvmIoeventfd(6, write, 9, on)).bytes!);
    expect(of({ kind: "io", address: 0x50, width: 1, value: 7n }, true)).toMatchObject({
      ...{ datamatch: 7n, addr: 0x50n, len: 1, fd: 9, flags: 3 },
    });
    expect(of({ kind: "mmio", address: 0xfeb0_0000, width: 0 }, false)).toMatchObject({ len: 0, flags: 4 });
  });

  test("capabilities, chips, timer, clock", () => {
    const enabled = view(
      uapi.KvmEnableCap,
      asks(() => vm.enableVmCapability(6, "SPLIT_IRQCHIP", [24n])).bytes!,
    );
    expect([enabled.cap, enabled.args[0], enabled.args[1]]).toEqual([121, 24n, 0n]);
    expect(asks(() => vm.createPit2(6, 1)).bytes![0]).toBe(1);
    const chip = asks(() => expect(vm.getIrqchip(6, 2).length).toBe(520));
    expect([chip.request, chip.bytes![0]]).toEqual([kvmVmRequest.GET_IRQCHIP, 2]);
    expect(asks(() => vm.setIrqchip(6, new Uint8Array(520))).request).toBe(kvmVmRequest.SET_IRQCHIP);
    expect(asks(() => expect(vm.getPit2(6).length).toBe(112)).request).toBe(kvmVmRequest.GET_PIT2);
    expect(asks(() => vm.setPit2(6, new Uint8Array(112))).request).toBe(kvmVmRequest.SET_PIT2);
    const clock = asks(() => vm.setClock(6, 5n));
    expect([clock.request, clock.bytes![0]]).toEqual([kvmVmRequest.SET_CLOCK, 5]);
    asks(
      () => expect(vm.getClock(6)).toBe(77n),
      (_, view) => {
        view.setBigUint64(0, 77n, true);
        return 0;
      },
    );
  });

  test("devices of the kernel", () => {
    const created = asks(
      () => expect(device.createKvmDevice(6, "VFIO")).toBe(13),
      (_, view) => {
        view.setUint32(4, 13, true);
        return 0;
      },
    );
    expect(created.bytes![0]).toBe(4);
    expect(
      asks(
        () => expect(device.hasKvmDevice(6, "VFIO")).toBe(false),
        () => -19,
      ).bytes![8],
    ).toBe(1);
    let file: Uint8Array | undefined;
    const added = asks(
      () => device.setVfioFile(13, 0x123, "FILE_ADD"),
      (_, view) => {
        file = bytesAt(view.getBigUint64(16, true), 4);
        return 0;
      },
    );
    expect(added.request).toBe(kvmDeviceRequest.SET_DEVICE_ATTR);
    expect(view(uapi.KvmDeviceAttr, added.bytes!)).toMatchObject({ group: 1, attr: 1n });
    expect([...file!]).toEqual([0x23, 1, 0, 0]);
  });
});

describe("a vCPU", () => {
  test("run: an exit, a signal, a failure", () => {
    using kernel = fakeIoctl(({ fd }) => fd);
    expect([vcpu.runVcpu(0), vcpu.runVcpu(-4), vcpu.runVcpu(-11)]).toEqual([true, false, false]);
    const error = refusal(() => vcpu.runVcpu(-14, { device: "vCPU 1" }));
    expect([error.code, error.message]).toEqual(["EFAULT", "vCPU 1: KVM_RUN fails with EFAULT"]);
    expect(kernel.asked[0]!.request).toBe(kvmVcpuRequest.RUN);
  });

  test("the signal mask is 12 bytes", () => {
    const { request, bytes } = asks(() => vcpu.setSignalMask(7, 0x8000_0000_0000_0801n));
    expect(request).toBe(kvmVcpuRequest.SET_SIGNAL_MASK);
    expect([...bytes!]).toEqual([8, 0, 0, 0, 0x01, 0x08, 0, 0, 0, 0, 0, 0x80]);
  });

  test("each struct is got and set by its own request", () => {
    const pairs = [
      [vcpu.getRegs, vcpu.setRegs, "REGS"],
      [vcpu.getSregs, vcpu.setSregs, "SREGS"],
      [vcpu.getFpu, vcpu.setFpu, "FPU"],
      [vcpu.getXcrs, vcpu.setXcrs, "XCRS"],
      [vcpu.getDebugregs, vcpu.setDebugregs, "DEBUGREGS"],
      [vcpu.getLapic, vcpu.setLapic, "LAPIC"],
      [vcpu.getVcpuEvents, vcpu.setVcpuEvents, "VCPU_EVENTS"],
      [vcpu.getMpState, vcpu.setMpState, "MP_STATE"],
    ] as const;
    for (const [get, set, name] of pairs) {
      using kernel = fakeIoctl(({ request }, memory) => {
        if (request === kvmVcpuRequest[`GET_${name}`]) memory.setUint8(0, 9);
        return 0;
      });
      (set as (fd: number, state: unknown) => void)(7, get(7));
      expect(kernel.asked.map(({ request }) => request)).toEqual([
        kvmVcpuRequest[`GET_${name}`],
        kvmVcpuRequest[`SET_${name}`],
      ]);
      expect(kernel.asked[1]!.bytes![0]).toBe(9);
    }
  });

  test("the extended state: the request that goes with its size", () => {
    const got = (size: number) => asks(() => vcpu.getXsave(7, size));
    expect([got(0).request, got(0).bytes!.length]).toEqual([kvmVcpuRequest.GET_XSAVE, 4096]);
    expect([got(11008).request, got(11008).bytes!.length]).toEqual([kvmVcpuRequest.GET_XSAVE2, 11008]);
    expect(asks(() => vcpu.setXsave(7, new Uint8Array(4096))).request).toBe(kvmVcpuRequest.SET_XSAVE);
  });

  test("MSRs: those that the kernel did", () => {
    const asked = asks(
      () => expect(vcpu.getMsrs(7, [0x10, 0xdead])).toEqual([{ index: 0x10, data: 5n }]),
      (_, memory) => {
        memory.setBigUint64(16, 5n, true);
        return 1;
      },
    );
    expect(view(uapi.KvmMsrEntry, asked.bytes!, 24)).toMatchObject({ index: 0xdead, data: 0n });
    const set = asks(
      () => expect(vcpu.setMsrs(7, [{ index: 0x10, data: 2n ** 63n }])).toBe(1),
      () => 1,
    );
    expect(view(uapi.KvmMsrEntry, set.bytes!, 8)).toMatchObject({ index: 0x10, data: 2n ** 63n });
  });

  test("CPUID, interrupts, and registers by number", () => {
    expect(asks(() => vcpu.setCpuid(7, [])).bytes!.length).toBe(8);
    expect(asks(() => expect(vcpu.getCpuid(7).length).toBe(256)).request).toBe(kvmVcpuRequest.GET_CPUID2);
    expect(asks(() => vcpu.injectInterrupt(7, 0x41)).bytes![0]).toBe(0x41);
    let value: Uint8Array | undefined;
    const look: Answer = (_, memory) => {
      value = bytesAt(memory.getBigUint64(8, true), 4);
      return 0;
    };
    const set = asks(
      () => vcpu.setOneReg(7, 0x6020_0000_0010_0001n, new Uint8Array(Uint8Array.of(1, 2, 3, 4).buffer)),
      look,
    );
    expect([set.request, view(uapi.KvmOneReg, set.bytes!).id]).toEqual([
      kvmVcpuRequest.SET_ONE_REG,
      0x6020_0000_0010_0001n,
    ]);
    expect(value).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(asks(() => expect(vcpu.getOneReg(7, 1n, 4)).toEqual(new Uint8Array(4)), look).request).toBe(
      kvmVcpuRequest.GET_ONE_REG,
    );
  });
});
