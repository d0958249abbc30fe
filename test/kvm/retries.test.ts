// What KVM refuses to take back is tried again by the next call, and nothing is left of it once the machine is closed.
import { expect, test } from "bun:test";
import { openSync, closeSync } from "node:fs";
import { Ioeventfds } from "../../src/kvm/ioeventfds.ts";
import { KvmMemorySlots } from "../../src/kvm/memory-slots.ts";
import { VfioRegistry } from "../../src/kvm/vfio-registry.ts";
import { openDescriptors } from "../support/descriptors.ts";
import { fakeIoctl } from "../support/fake-ioctl.ts";

const machine = { fd: 1000, closed: false };
const refused = expect.objectContaining({ code: "ENOMEM" });

/** A kernel that takes requests but for some, by their number from 0 on. @param device the descriptor of what it makes first */
function kernel(device?: number) {
  let count = 0;
  const kernel = { refuse: new Set<number>(), asked: 0 };
  const fake = fakeIoctl((_, memory) => {
    kernel.asked = ++count;
    // struct kvm_create_device: type, fd, flags
    if (count === 1 && device !== undefined) memory.setUint32(4, device, true);
    return kernel.refuse.has(count - 1) ? -12 : 0;
  });
  return Object.assign(kernel, { [Symbol.dispose]: () => fake[Symbol.dispose]() });
}

test("an ioeventfd", () => {
  using calls = kernel();
  const on = new Ioeventfds(machine).add({ kind: "io", address: 0x50, width: 1, value: 1n }, 5);
  calls.refuse.add(1);
  expect(() => on[Symbol.dispose]()).toThrow(refused);
  on[Symbol.dispose]();
  on[Symbol.dispose]();
  expect(calls.asked).toBe(3);
});

test("slots of a machine: one that stays keeps no other", () => {
  using calls = kernel();
  const slots = new KvmMemorySlots(machine, 8);
  for (let i = 0; i < 3; i++) slots.add({ gpa: i * 4096, size: 4096, hva: 0x1000_0000, readOnly: false });
  calls.refuse.add(4);
  expect(() => slots.clear()).toThrow(refused);
  expect(slots.inUse.size).toBe(1);
  slots.clear();
  expect([slots.inUse.size, calls.asked]).toEqual([0, 7]);
});

test("a file that KVM's VFIO device knows", () => {
  const before = openDescriptors();
  const file = openSync("/dev/null", "r");
  {
    using calls = kernel(openSync("/dev/null", "r"));
    using registry = new VfioRegistry(1000);
    const [one, other] = [registry.add(file), registry.add(file)];
    calls.refuse.add(3).add(5);
    expect(() => one[Symbol.dispose]()).toThrow(refused);
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    expect(calls.asked).toBe(5);
    expect(() => other[Symbol.dispose]()).toThrow(refused);
    registry[Symbol.dispose]();
    other[Symbol.dispose]();
    expect(calls.asked).toBe(6);
  }
  closeSync(file);
  expect(openDescriptors()).toEqual(before);
});
