import { IrqIndex, openDevice, type KernelDevice, type OpenOptions } from "bun-vfio";
import { AnonymousMemory, pageSize, waitReadable } from "bun-vfio/ffi";
import { Edu, patience } from "./edu.ts";
import { IntxLine } from "./intx-line.ts";
import { addressLimit, ownMemory } from "./registers.ts";

type Say = (line: string) => void;

/** Shows what a driver does with a device, step by step. @throws Error for the first step that does not do as it should */
export function demonstrate(bdf: string, options: OpenOptions, say: Say): void {
  using device = openDevice(bdf, options);
  say(`open: ${device.name} by ${device.api}`);
  using edu = new Edu(device);
  registers(edu, say);
  messageInterrupts(device, edu, say);
  // A device has one kind of interrupt at a time: that of before is off by now.
  lineInterrupts(device, edu, 1000, say);
  memory(device, edu, say);
}

function registers(edu: Edu, say: Say): void {
  const { major, minor } = edu.registers.identification.read();
  edu.registers.liveness.write(0x12345678);
  check("the complement of what was written", edu.registers.liveness.read(), 0xedcba987);
  check("10!", edu.factorial(10), 3628800);
  say(`registers: edu ${major}.${minor}, alive; 10! is 3628800`);
}

function messageInterrupts(device: KernelDevice, edu: Edu, say: Say): void {
  using vectors = device.vectors(IrqIndex.msi);
  // Before the device can have something to tell: a message that goes nowhere does not come again.
  const vector = vectors.arm(0);
  check("12!", edu.factorialByInterrupt(12, vector), 479001600);
  for (let cause = 1; cause <= 100; cause++) {
    // One after the other: messages that a CPU has not taken yet are one.
    edu.registers.raise.write(cause);
    if (!waitReadable(vector.fd, patience)) throw new Error(`no MSI of number ${cause}`);
    check("MSIs", vector.drain(), 1);
    check("cause of the MSI", edu.registers.causes.read(), cause);
    edu.acknowledge(cause);
  }
  say("MSI: 12! is 479001600; 100 messages");
}

function lineInterrupts(device: KernelDevice, edu: Edu, count: number, say: Say): void {
  using line = new IntxLine(device);
  edu.registers.raise.write(1);
  for (let n = 1; n <= count; n++) {
    check(`interrupts at number ${n}`, line.wait(patience), 1);
    // Number n is the cause. Acknowledge, then unmask: the other way round the same interrupt would come twice.
    check("cause", edu.registers.causes.read(), n);
    edu.acknowledge(n);
    // The device may well raise the next while the line is masked. It waits there, and is not lost.
    const whileMasked = n % 2 === 0;
    if (n < count && whileMasked) edu.registers.raise.write(n + 1);
    line.unmask();
    if (n < count && !whileMasked) edu.registers.raise.write(n + 1);
  }
  check("interrupts that nobody raised", line.wait(20), 0);
  say(`INTx: ${count} interrupts in a row, unmasked by eventfd; none lost, none twice`);
}

function memory(device: KernelDevice, edu: Edu, say: Say): void {
  const { dma } = device;
  if (!dma) return say("DMA: none, since without an IOMMU nothing would keep the device from all memory");
  using vectors = device.vectors(IrqIndex.msi);
  const vector = vectors.arm(0);
  using buffer = dma.allocate(2 * ownMemory.size, { below: addressLimit, label: "edu's buffer" });
  const half = ownMemory.size;
  const pattern = Uint8Array.from({ length: half }, (_, i) => (i * 7 + 3) & 0xff);
  buffer.bytes.set(pattern);
  edu.transfer("to device", buffer.iova, half, vector);
  edu.transfer("to memory", buffer.iova + half, half, vector);
  checkBytes("the bytes that came back", buffer.bytes.subarray(half), pattern);
  say(`DMA: ${half} bytes from memory to the device, and back to other memory`);

  // Memory that the device could reach a moment ago, and that stays ours after that, to look at.
  using secret = new AnonymousMemory(pageSize());
  const bytes = secret.view(0, half);
  bytes.fill(0x5a);
  const iova = dma.findIova(pageSize(), pageSize(), addressLimit);
  if (iova === undefined) throw new Error("no IOVA is free that the device can drive");
  const mapped = dma.map({ iova, size: pageSize(), hva: secret.address });
  edu.transfer("to device", iova, half, vector);
  mapped[Symbol.dispose]();
  buffer.bytes.set(pattern);
  edu.transfer("to device", buffer.iova, half, vector);
  edu.transfer("to memory", iova, half, vector);
  checkBytes("memory that is unmapped", bytes, new Uint8Array(half).fill(0x5a));
  edu.transfer("to device", iova, half, vector);
  edu.transfer("to memory", buffer.iova + half, half, vector);
  if (buffer.bytes.subarray(half).every((byte) => byte === 0x5a))
    throw new Error("the device read memory that is unmapped");
  edu.transfer("to device", buffer.iova, half, vector);
  edu.transfer("to memory", buffer.iova + half, half, vector);
  checkBytes("the bytes after that", buffer.bytes.subarray(half), pattern);
  say(`DMA: to and from IOVA 0x${iova.toString(16)}, which is unmapped: blocked, and all goes on`);
}

function check(what: string, is: number, expected: number): void {
  if (is !== expected) throw new Error(`${what}: ${is}, not ${expected}`);
}

function checkBytes(what: string, are: Uint8Array, expected: Uint8Array): void {
  const wrong = are.findIndex((byte, i) => byte !== expected[i]);
  if (wrong !== -1) throw new Error(`${what}: ${are[wrong]} at ${wrong}, not ${expected[wrong]}`);
}
