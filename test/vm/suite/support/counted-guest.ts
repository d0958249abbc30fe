// Runs under strace: a guest of KVM that drives a device by itself, each piece between marks.
import { Kvm } from "../../../../src/kvm/kvm.ts";
import { ways } from "./apis.ts";
import { code32, enableLocalApic, routeIoapicPin } from "./code.ts";
import { Guest } from "./guest.ts";
import { measured, ownCalls } from "./marks.ts";
import { intxPin, PassedDevice } from "./passed.ts";

const rounds = Number(process.argv[2]);
const bar = 0xd800_0000;
/** edu's registers (QEMU docs/specs/edu.rst), where the guest's interrupts are counted, and what it reports to. */
const edu = { raise: bar + 0x60, acknowledge: bar + 0x64 } as const;
const counter = 0x5000;
const vector = 0x41;
const port = 0x30;

const own = ownCalls();
const counts: number[] = [];
using kvm = new Kvm();

const handlers = {
  [vector]: code32.handler([...code32.store(edu.acknowledge, 1), ...code32.increase(counter)]),
};
const report = [...code32.load(counter), ...code32.report(port)];
const program = [
  ...[...enableLocalApic, ...routeIoapicPin(intxPin, vector), ...report],
  ...Array.from({ length: rounds }, (_, i) => [
    ...code32.store(edu.raise, 1),
    ...code32.haltUntil(counter, i + 1),
  ]).flat(),
  ...report,
];

for (const kind of ["INTx", "MSI"]) {
  using guest = new Guest(kvm, "protected", program, { handlers });
  using passed = new PassedDevice(guest, "edu", ways[0]!);
  const { device } = passed;
  device.configWrite(0x10, 4, bar);
  device.configWrite(4, 2, 6);
  if (kind === "MSI") {
    const msi = passed.capability(5);
    for (const [offset, value] of [0xfee0_0000, 0, vector].entries())
      device.configWrite(msi + 4 + 4 * offset, 4, value);
    measured("MSI on", () => device.configWrite(msi + 2, 2, 1));
  }
  counts.push(guest.runToReport(port));
  measured(`${kind} interrupts`, () => counts.push(guest.runToReport(port)));
}
{
  using guest = new Guest(kvm, "protected", []);
  using passed = new PassedDevice(guest, "nvme", ways[0]!);
  const { device } = passed;
  device.configWrite(0x10, 4, bar);
  device.configWrite(0x14, 4, 0);
  device.configWrite(4, 2, 6);
  const { guest: geometry } = device.describe().msix!;
  const control = passed.capability(0x11) + 2;
  measured("MSI-X on, masked", () => device.configWrite(control, 2, 0xc000));
  measured("MSI-X table writes", () => {
    for (let entry = 0; entry < geometry.vectors; entry++)
      for (const [i, value] of [0xfee0_0000, 0, vector, 0].entries())
        device.mmioWrite(
          bar + geometry.table.offset + 16 * entry + 4 * i,
          new Uint8Array(Uint32Array.of(value).buffer),
        );
  });
  measured("MSI-X all unmasked", () => device.configWrite(control, 2, 0x8000));
  measured("MSI-X all masked", () => device.configWrite(control, 2, 0xc000));
  measured("MSI-X unmasked again", () => device.configWrite(control, 2, 0x8000));
}
console.log(JSON.stringify({ own, counts }));
