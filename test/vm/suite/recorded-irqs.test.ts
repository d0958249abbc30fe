// machines: (intel)
// takes: 60 s
// As recorded-config.test.ts, for interrupts: each request has the result, and each eventfd hears what it hears, as with the
// device.
import { afterAll, describe, expect, test } from "bun:test";
import type { IrqRequest } from "../../../src/regs/vfio/irqs.ts";
import type { KernelDevice } from "../../../src/device/backends/kernel/kernel-device.ts";
import type { RecordedDevice } from "../../../src/device/backends/recorded/recorded-device.ts";
import { VfioError } from "../../../src/ffi/errors.ts";
import { deviceNames, ownDescriptors } from "./support/devices.ts";
import { IrqLockstep } from "./support/irq-lockstep.ts";
import { openBoth, seed } from "./support/lockstep.ts";

const requests = 3_000;

const before = ownDescriptors();
afterAll(() => expect(ownDescriptors()).toEqual(before));

function run(
  both: { kernel: KernelDevice; recorded: RecordedDevice },
  steps: number,
): Pick<IrqLockstep, "differences" | "outcomes"> {
  using own = new DisposableStack();
  const lockstep = new IrqLockstep(both, seed, own);
  lockstep.run(steps);
  return lockstep;
}

test.each(deviceNames)(`%s: ${requests} SET_IRQS, resets and config writes from seed ${seed}`, (name) => {
  using both = openBoth(name);
  const { differences, outcomes } = run(both, requests);
  expect(differences).toEqual([]);
  // Every kind of request was both taken and refused.
  for (const kind of ["none", "bool", "eventfd"]) {
    expect(outcomes.get(`trigger ${kind} ok`)).toBeGreaterThan(20);
    expect(outcomes.get(`trigger ${kind} EINVAL`)).toBeGreaterThan(20);
  }
  expect(outcomes.get("reset ok")).toBeGreaterThan(10);
});

describe("a false recording is found out:", () => {
  type Fault = (request: IrqRequest, set: (request: IrqRequest) => void) => void;
  const but =
    (code: string, then?: () => never): Fault =>
    (request, set) => {
      try {
        set(request);
      } catch (error) {
        if (!(error instanceof VfioError) || error.code !== code) throw error;
        then?.();
      }
    };
  const faults: Record<string, Fault> = {
    "nothing is raised by a list of booleans": (request, set) =>
      set(
        request.data.kind === "bool" && request.action === "trigger"
          ? { ...request, data: { kind: "bool", values: request.data.values.map(() => false) } }
          : request,
      ),
    "a second unmask eventfd is taken": but("EBUSY"),
    "any descriptor is taken": but("EBADF"),
    "ENOTTY is told as EINVAL": but("ENOTTY", () => {
      throw new VfioError("another code", { code: "EINVAL" });
    }),
  };
  test.each(Object.entries(faults))("%s", (_, fault) => {
    using both = openBoth("edu");
    const { recorded } = both;
    const set = recorded.setIrqs.bind(recorded);
    recorded.setIrqs = (request) => fault(request, set);
    expect(run(both, requests).differences).not.toEqual([]);
  });
});
