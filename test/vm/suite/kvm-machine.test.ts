// machines: kvm [kvm-new]
// Virtual machines, vCPUs and their state on the kernel's KVM, with guests of a few instructions.
import { afterAll, describe, expect, test } from "bun:test";
import { AnonymousMemory } from "../../../src/ffi/anonymous-memory.ts";
import { Eventfd } from "../../../src/ffi/eventfd.ts";
import { getRegs, setCpuid } from "../../../src/ffi/kvm-vcpu.ts";
import { formatExit } from "../../../src/kvm/exit-text.ts";
import { DmaMap } from "../../../src/device/dma/dma-map.ts";
import { MemoryIommu } from "../../support/memory-iommu.ts";
import { GuestMemory, pcMemoryPlaces } from "../../../src/kvm/guest-memory.ts";
import { Kvm } from "../../../src/kvm/kvm.ts";
import { VirtualMachine } from "../../../src/kvm/machine.ts";
import { runLoop } from "../../../src/kvm/run-loop.ts";
import { TrapBus } from "../../../src/kvm/trap-bus.ts";
import { cpuidOf } from "../../../src/kvm/x86/cpuid.ts";
import { restoreMachine, saveMachine } from "../../../src/kvm/x86/machine-state.ts";
import { restoreVcpu, saveVcpu, vcpuStateOptions } from "../../../src/kvm/x86/vcpu-state.ts";
import { openDescriptors } from "../../support/descriptors.ts";
import { code, code32, enableLocalApic, endOfInterrupt, initPics, vectorOf } from "./support/code.ts";
import { Guest } from "./support/guest.ts";

const before = openDescriptors();
const kvm = new Kvm();
afterAll(() => {
  kvm[Symbol.dispose]();
  expect(openDescriptors()).toEqual(before);
});

describe("exits", () => {
  test("OUT and IN carry port, width and data", () => {
    // mov eax, 0x11223344; out 0x30, eax; in ax, 0x32; out 0x34, al; hlt
    using guest = new Guest(kvm, "real", [...code.eax(0x11223344), 0x66, 0xe7, 0x30, 0xe5, 0x32, 0xe6, 0x34]);
    const { vcpu } = guest;
    const { page } = vcpu;
    expect(guest.runToReport(0x30)).toBe(0x11223344);
    expect([page.ioWidth, page.ioCount]).toEqual([4, 1]);
    expect(guest.runToPort()).toBe(0x32);
    expect([page.ioWidth, page.isOut, formatExit(page)]).toEqual([
      2,
      false,
      "KVM_EXIT_IO read of 2 at port 0x32",
    ]);
    page.giveIo(0, new Uint8Array([0xcd, 0xab]));
    expect(guest.runToReport(0x34)).toBe(0xcd);
  });

  test("MMIO carries address, width and data", () => {
    // mov ax, [8]; mov [0x10], ax of segment 0x9000: 0x90008 and 0x90010 are no memory
    using guest = new Guest(kvm, "real", [
      ...code.ds(0x9000),
      0xa1,
      0x08,
      0x00,
      0xa3,
      0x10,
      0x00,
      ...code.hlt,
    ]);
    const { vcpu } = guest;
    const { page } = vcpu;
    expect(vcpu.run()).toBe(true);
    expect(formatExit(page)).toBe("KVM_EXIT_MMIO read of 2 at 0x90008");
    page.giveMmio(new Uint8Array([0x34, 0x12]));
    expect(vcpu.run()).toBe(true);
    expect(formatExit(page)).toBe("KVM_EXIT_MMIO write of 2 at 0x90010");
    const data = new Uint8Array(2);
    page.takeMmio(data);
    expect([...data]).toEqual([0x34, 0x12]);
  });

  test("string instructions are several accesses of one exit, and a triple fault ends the loop", () => {
    // mov dx, 0x40; mov si, 0x2000; mov cx, 3; rep outsb; mov di, 0x2100; mov cx, 2; rep insw; lidt [0x3000] (limit 0); int3
    const program = [0xba, 0x40, 0x00, 0xbe, 0x00, 0x20, 0xb9, 0x03, 0x00, 0xf3, 0x6e];
    program.push(0xbf, 0x00, 0x21, 0xb9, 0x02, 0x00, 0xf3, 0x6d, 0x0f, 0x01, 0x1e, 0x00, 0x30, 0xcc);
    using guest = new Guest(kvm, "real", program);
    guest.memory.write(0x2000, Uint8Array.of(1, 2, 3));
    const bus = new TrapBus();
    const written: number[] = [];
    let next = 0x1111;
    using _ = bus.insert("io", 0x40, 2, "strings", {
      ioWrite: (_port, data) => written.push(data[0]!),
      ioRead: (_port, data) => new DataView(data.buffer).setUint16(0, (next += 0x1111), true),
    });
    expect(runLoop(guest.vcpu, bus)).toBe("shutdown");
    expect(written).toEqual([1, 2, 3]);
    expect([...guest.memory.view(0x2100, 4)]).toEqual([0x22, 0x22, 0x33, 0x33]);
  });

  test("an instruction that KVM cannot emulate is an error that shows it", () => {
    // Beyond the guest's memory, where nothing can be fetched.
    using guest = new Guest(kvm, "real", [0xea, 0x00, 0x00, 0x00, 0xa0]);
    expect(() => runLoop(guest.vcpu, new TrapBus())).toThrow(
      expect.objectContaining({
        code: "EVMEXIT",
        message: expect.stringMatching(/KVM_EXIT_INTERNAL_ERROR EMULATION/),
      }),
    );
  });
});

describe("memory", () => {
  test("a read-only slot: reads do not leave, writes do, and the memory stays as it is", () => {
    // mov al, [0]; inc al; mov [0], al; out 0x30, al of segment 0x9000
    using guest = new Guest(kvm, "real", [
      ...code.ds(0x9000),
      0xa0,
      0,
      0,
      0xfe,
      0xc0,
      0xa2,
      0,
      0,
      0xe6,
      0x30,
    ]);
    using rom = new AnonymousMemory(0x1000);
    rom.write(0, Uint8Array.of(7));
    guest.machine.slots.add({ gpa: 0x90000, size: 0x1000, hva: rom.address, readOnly: true });
    expect(guest.vcpu.run()).toBe(true);
    expect(formatExit(guest.vcpu.page)).toBe("KVM_EXIT_MMIO write of 1 at 0x90000");
    expect(guest.runToReport(0x30)).toBe(8);
    expect(rom.view(0, 1)[0]).toBe(7);
  });

  test("the dirty log names the pages that the guest has written", () => {
    // out 0x30, al; mov [0x5000], al; out 0x30, al; mov [0x6000], al; out 0x30, al
    const program = [0xe6, 0x30, 0xa2, 0x00, 0x50, 0xe6, 0x30, 0xa2, 0x00, 0x60, 0xe6, 0x30];
    using guest = new Guest(kvm, "real", program);
    const { slots } = guest.machine;
    expect(() => slots.dirtyPages(0)).toThrow(expect.objectContaining({ code: "ENOENT" }));
    slots.setDirtyLog(0, true);
    guest.runToReport(0x30);
    // KVM may take pages for written that the guest could have written when they came to it.
    slots.dirtyPages(0);
    guest.runToReport(0x30);
    expect(slots.dirtyPages(0)).toEqual([5]);
    guest.runToReport(0x30);
    expect(slots.dirtyPages(0)).toEqual([6]);
    expect(slots.dirtyPages(0)).toEqual([]);
  });

  test("slots: overlaps are named, numbers are used again, and none outlives its machine", () => {
    using memory = new AnonymousMemory(0x4000);
    const machine = new VirtualMachine(kvm);
    const slot = { size: 0x1000, hva: memory.address, readOnly: false };
    const a = machine.slots.add({ ...slot, gpa: 0 });
    const b = machine.slots.add({ ...slot, gpa: 0x1000, readOnly: true });
    expect([a, b]).toEqual([0, 1]);
    expect(() => machine.slots.add({ ...slot, gpa: 0x800, size: 0x1000 })).toThrow(
      "guest memory 0x800-0x17ff overlaps the slot 0x0-0xfff",
    );
    machine.slots.remove(a);
    expect(machine.slots.add({ ...slot, gpa: 0x8000 })).toBe(0);
    expect(() => machine.slots.remove(7)).toThrow("there is no memory slot 7");
    expect(() => machine.slots.add({ ...slot, gpa: 0x9001 })).toThrow(
      /KVM_SET_USER_MEMORY_REGION slot 2 at 0x9001, 0x1000 bytes of 0x[0-9a-f]+ fails with EINVAL/,
    );
    machine[Symbol.dispose]();
    machine.slots.remove(b);
    expect(() => machine.fd).toThrow("the virtual machine is closed");
  });

  test("guest memory: 6 GiB around the hole, read and written across windows, large pages where there are some", () => {
    using machine = new VirtualMachine(kvm);
    const places = pcMemoryPlaces(6 * 2 ** 30);
    expect(places).toEqual([
      { gpa: 0, size: 3 * 2 ** 30 },
      { gpa: 4 * 2 ** 30, size: 3 * 2 ** 30 },
    ]);
    using memory = new GuestMemory(machine.slots, { places, hugePages: "transparent" });
    expect([memory.size, machine.slots.inUse.size]).toEqual([6 * 2 ** 30, 2]);
    const bytes = Uint8Array.of(1, 2, 3);
    memory.write(6.5 * 2 ** 30 - 1, bytes);
    const back = new Uint8Array(3);
    memory.read(6.5 * 2 ** 30 - 1, back);
    expect(back).toEqual(bytes);
    expect([...memory.view(6.5 * 2 ** 30, 2)]).toEqual([2, 3]);
    expect(memory.hostAddress(4 * 2 ** 30, 1)! % 2 ** 21).toBe(0);
    expect(() => memory.read(3 * 2 ** 30 - 1, back)).toThrow(
      "the guest has no memory at 0xbfffffff-0xc0000001",
    );
    const iommu = new MemoryIommu();
    using dma = new DmaMap(iommu);
    using _reached = memory.mapFor(dma);
    expect(dma.mappings).toMatchObject(
      memory.parts.map(({ gpa, size, mapping }) => ({ iova: gpa, size, hva: mapping.address })),
    );
    memory[Symbol.dispose]();
    expect(machine.slots.inUse.size).toBe(0);
    expect(
      () => new GuestMemory(machine.slots, { places: [{ gpa: 0, size: 2 ** 30 }], hugePages: "1 GiB" }),
    ).toThrow(expect.objectContaining({ hint: expect.stringContaining("nr_hugepages") }));
  });
});

describe("interrupts", () => {
  // The guest says that it is ready, halts, and answers each interrupt with `out 0x10`.
  const ready = 0x11;
  const handler = [0x50, ...endOfInterrupt, 0x58, 0xe6, 0x10, ...code.iret];
  const waiting = (irq: number): Guest => {
    const guest = new Guest(kvm, "real", [...initPics, 0xe6, ready, ...code.sti, ...code.idle], {
      handlers: { [vectorOf(irq)]: handler },
    });
    expect(guest.runToPort()).toBe(ready);
    return guest;
  };

  test("a line of the chips reaches the guest", () => {
    using guest = waiting(5);
    for (let i = 0; i < 3; i++) {
      guest.machine.setIrqLine(5, true);
      expect(guest.runToPort()).toBe(0x10);
      guest.machine.setIrqLine(5, false);
    }
  });

  test("INTx: asserted by its eventfd, resampled at the end of interrupt, many in a row", () => {
    using guest = waiting(10);
    using line = guest.machine.interrupts.createLine(10)!;
    line.connect();
    line.connect();
    using device = new Eventfd(line.eventfd);
    using resample = new Eventfd(line.resample);
    for (let i = 0; i < 100; i++) {
      device.signal();
      expect(guest.runToPort()).toBe(0x10);
      expect(resample.drain()).toBe(1);
    }
    line.disconnect();
    device.signal();
    expect(resample.drain()).toBe(0);
  });

  test("two lines share a GSI: both are asked again at the end of interrupt", () => {
    using guest = waiting(11);
    using a = guest.machine.interrupts.createLine(11)!;
    using b = guest.machine.interrupts.createLine(11)!;
    a.connect();
    b.connect();
    using device = new Eventfd(a.eventfd);
    using resamples = new DisposableStack();
    const both = [a, b].map((line) => resamples.use(new Eventfd(line.resample)));
    device.signal();
    expect(guest.runToPort()).toBe(0x10);
    expect(both.map((one) => one.drain())).toEqual([1, 1]);
  });
});

describe("split interrupt chips", () => {
  const vector = 0x42;
  const eoiExit = 26;
  const program = [...enableLocalApic, 0xe6, 0x11, ...code.sti, ...code.idle];
  const handlers = { [vector]: code32.handler([0xe6, 0x10]) };
  const message = { addressLow: 0xfee0_0000, addressHigh: 0, data: vector, requesterId: 0 };
  const started = (): Guest => {
    const guest = new Guest(kvm, "protected", program, { irqchip: "split", handlers });
    expect(guest.runToPort()).toBe(0x11);
    return guest;
  };

  test("the VMM hears of the end of a level-triggered interrupt", () => {
    using guest = started();
    const { machine, vcpu } = guest;
    expect(machine.interrupts.createLine(5)).toBeUndefined();
    // Level-triggered, asserted.
    const level = { ...message, data: 0xc000 | vector };
    machine.interrupts.routePin(5, level);
    expect(machine.signalMsi(level)).toBe(true);
    expect(guest.runToPort()).toBe(0x10);
    expect(vcpu.run()).toBe(true);
    expect([vcpu.page.reason, vcpu.page.eoiVector]).toEqual([eoiExit, vector]);
    machine.interrupts.routePin(5, undefined);
    expect(() => machine.interrupts.routePin(24, level)).toThrow(RangeError);
  });

  test("messages arrive by irqfd, and by request", () => {
    using guest = started();
    const { interrupts } = guest.machine;
    using group = interrupts.createMsiGroup(4);
    group.update([{ vector: 3, message }]);
    group.signal(3);
    expect(guest.runToPort()).toBe(0x10);
    guest.machine.signalMsi(message);
    expect(guest.runToPort()).toBe(0x10);
  });

  test("pins and the timer are the kernel's where the chips are", () => {
    using machine = new VirtualMachine(kvm);
    expect(() => machine.interrupts.routePin(5, message)).toThrow(
      expect.objectContaining({ code: "ENOTSUP" }),
    );
    expect(() => new VirtualMachine(kvm, { irqchip: "split", pit: true })).toThrow(RangeError);
  });
});

describe("ioeventfd", () => {
  test("a write that has one does not leave, another does", () => {
    // out 0x50, al (1); out 0x50, al (2); out 0x30, al
    using guest = new Guest(kvm, "real", [...code.out8(0x50, 1), ...code.out8(0x50, 2), 0xe6, 0x30]);
    using doorbell = new Eventfd();
    using on = guest.machine.ioeventfds.add({ kind: "io", address: 0x50, width: 1, value: 1n }, doorbell.fd);
    expect(guest.runToReport(0x50)).toBe(2);
    expect(doorbell.drain()).toBe(1);
    expect(() =>
      guest.machine.ioeventfds.add({ kind: "io", address: 0x50, width: 1, value: 1n }, doorbell.fd),
    ).toThrow(expect.objectContaining({ code: "EEXIST" }));
    on[Symbol.dispose]();
    guest.machine.ioeventfds.add({ kind: "io", address: 0x50, width: 1, value: 1n }, doorbell.fd);
  });
});

describe("state", () => {
  test("a vCPU and its machine, saved and restored, go on where they were", () => {
    // inc ax; out 0x30, ax; jmp back
    const program = [0x40, 0xe7, 0x30, 0xeb, 0xfb];
    using first = new Guest(kvm, "real", program, { pit: true });
    setCpuid(first.vcpu.fd, cpuidOf(kvm.supportedCpuid(), 0, 1));
    for (let i = 1; i <= 5; i++) expect(first.runToReport(0x30)).toBe(i);
    // The exit of the last OUT is ended by the next run, or before the next instruction.
    const unfinished = getRegs(first.vcpu.fd).rip;
    expect(first.vcpu.complete()).toBe(true);
    expect(getRegs(first.vcpu.fd).rip).toBe(unfinished + 2n);
    const options = vcpuStateOptions(kvm, first.machine);
    const state = JSON.parse(JSON.stringify(saveVcpu(first.vcpu, options)));
    const chips = JSON.parse(JSON.stringify(saveMachine(first.machine)));
    expect(state.msrs.length).toBeGreaterThan(20);
    using second = new Guest(kvm, "real", program, { pit: true });
    restoreVcpu(second.vcpu, state, options);
    restoreMachine(second.machine, chips);
    const { cpuid, parts } = saveVcpu(second.vcpu, options);
    expect(cpuid).toEqual(state.cpuid);
    expect(parts).toEqual(state.parts);
    expect(saveMachine(second.machine).chips).toEqual(chips.chips);
    expect(second.runToReport(0x30)).toBe(6);
  });

  test("an access of two parts has no state in its middle, and loses none of them", () => {
    // mov eax, 0x11223344; mov [0xffe], eax of segment 0x9000; out 0x30, al: the write reaches over a page's end
    using guest = new Guest(kvm, "real", [
      ...code.ds(0x9000),
      ...code.eax(0x11223344),
      ...[0x66, 0xa3, 0xfe, 0x0f],
      ...[0xe6, 0x30],
    ]);
    const { vcpu } = guest;
    const written: number[] = [];
    const take = (): void => {
      const data = new Uint8Array(vcpu.page.width);
      vcpu.page.takeMmio(data);
      written.push(vcpu.page.address, ...data);
    };
    expect(vcpu.run()).toBe(true);
    take();
    for (let again = 0; again < 2; again++) expect(vcpu.complete()).toBe(false);
    expect(vcpu.run()).toBe(true);
    take();
    expect(written).toEqual([0x90ffe, 0x44, 0x33, 0x91000, 0x22, 0x11]);
    expect(vcpu.complete()).toBe(true);
    expect(guest.runToReport(0x30)).toBe(0x44);
  });

  test("what is no state, or of another machine, is refused", () => {
    using guest = new Guest(kvm, "real", code.hlt as unknown as number[]);
    const options = vcpuStateOptions(kvm, guest.machine);
    const refusal = expect.objectContaining({ code: "EBADSTATE" });
    const state = saveVcpu(guest.vcpu, options);
    expect(() => restoreVcpu(guest.vcpu, { ...state, version: 2 }, options)).toThrow(refusal);
    const parts = { ...state.parts, regs: "AAAA" };
    expect(() => restoreVcpu(guest.vcpu, { ...state, parts }, options)).toThrow(
      "the saved vCPU has 3 bytes of regs, this KVM takes 144",
    );
    const chips = saveMachine(guest.machine);
    expect(() => restoreMachine(guest.machine, { ...chips, chips: [] })).toThrow(refusal);
    const msrs = [{ index: 0xdead, data: "0x1" }];
    expect(() => restoreVcpu(guest.vcpu, { ...state, msrs }, options)).toThrow(
      "KVM does not take MSR 0xdead = 0x1",
    );
  });
});

test("KVM that is not there says what to do", () => {
  expect(() => new Kvm("/dev/kvm-not-there")).toThrow(
    expect.objectContaining({ code: "ENOENT", hint: expect.stringContaining("modprobe") }),
  );
  expect(() => new Kvm("/dev/null")).toThrow(expect.objectContaining({ code: "ENOTTY" }));
});

test("KVM's VFIO device refuses what is no VFIO file", () => {
  using machine = new VirtualMachine(kvm);
  using eventfd = new Eventfd();
  expect(() => machine.vfio.add(eventfd.fd)).toThrow(expect.objectContaining({ code: "EINVAL" }));
});
