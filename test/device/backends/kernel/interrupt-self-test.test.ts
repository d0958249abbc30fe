import { describe, expect, test } from "bun:test";
import { IrqIndex } from "../../../../src/regs/vfio/irqs.ts";
import { interruptSelfTest, loopBack } from "../../../../src/device/backends/kernel/interrupt-self-test.ts";
import { CountedBackend } from "../../../../src/device/seam/counted-backend.ts";
import { RecordedDevice } from "../../../../src/device/backends/recorded/recorded-device.ts";
import { syntheticImage } from "../../../support/synthetic-image.ts";

const recorded = (): RecordedDevice =>
  new RecordedDevice(
    syntheticImage({
      bars: { 0: { size: 0x20000 } },
      msix: { vectors: 4, table: [0, 0x10000], pba: [0, 0x18000] },
    }),
  );

describe("interrupt self-test", () => {
  test("has its old name as an alias", () => {
    expect(loopBack).toBe(interruptSelfTest);
  });

  test("raises every vector of every interrupt that the device has", () => {
    using device = recorded();
    const results = interruptSelfTest(device);
    expect(results.find(({ name }) => name === "MSIX")).toEqual({
      index: 2,
      name: "MSIX",
      vectors: 4,
      tried: 4,
      problems: [],
    });
    expect(results.every(({ problems }) => problems.length === 0)).toBe(true);
    expect(interruptSelfTest(device, 2).find(({ name }) => name === "MSIX")).toMatchObject({
      vectors: 4,
      tried: 2,
    });
    expect(() => interruptSelfTest(device, 0)).toThrow(RangeError);
  });

  test("tells a vector that does not arrive from one that arrives elsewhere, and a refusal", () => {
    class Wrong extends CountedBackend {
      override setIrqs(request: Parameters<CountedBackend["setIrqs"]>[0]): void {
        if (request.data.kind !== "bool" || request.index !== IrqIndex.msix) return super.setIrqs(request);
        if (request.start === 3) throw new Error("refused");
        super.setIrqs({ ...request, start: request.start === 1 ? 2 : request.start });
      }
    }
    using device = new Wrong(recorded());
    expect(interruptSelfTest(device).find(({ name }) => name === "MSIX")!.problems).toEqual([
      "vector 1 does not arrive",
      "vector 1 arrives at 2",
      "refused",
    ]);
    // All off again, or the next test would find MSI-X on.
    device.setIrqs({
      index: IrqIndex.msix,
      action: "trigger",
      start: 0,
      data: { kind: "eventfd", fds: [-1] },
    });
  });
});
