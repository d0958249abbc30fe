// machines: (kvm)
// takes: 180 s
// Every system call that the library makes fails once: what comes is an error with a code, or the call is survived; nothing is
// left, and the device opens again. Each call with one errno that it can have, in turn; with --nightly, with each.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AioPoll } from "../../../src/ffi/aio-poll.ts";
import { Eventfd } from "../../../src/ffi/eventfd.ts";
import { EventfdListener } from "../../../src/ffi/eventfd-listener.ts";
import { callTable, type CallName } from "../../../src/ffi/system-call-table.ts";
import { everyCall, refused, refuseNext, restoreCalls, table } from "../../support/refusals.ts";
import { programs } from "../../support/refused-calls.ts";
import { ways, type Way } from "./support/apis.ts";
import { ownDescriptors } from "./support/devices.ts";
import { driver, guest, machine } from "./support/refused-programs.ts";

/** Calls of the library's table that are refused nowhere here, and why. */
const unreachable: Partial<Record<CallName, string>> = {
  gettid: "cannot fail (gettid(2))",
  epoll_pwait: "is made by the listeners' thread, which has a table of its own",
};

const nightly = process.env.BUN_VFIO_VM_NIGHTLY === "1";
/** With these at least; with --nightly, with all that there are. */
const by = (...names: string[]): readonly Way[] =>
  nightly ? ways : ways.filter(({ name }) => names.includes(name));

afterAll(restoreCalls);

test("the first asynchronous wait of a thread, whose context lasts as long as that", async () => {
  using eventfd = new Eventfd();
  const begin = async (): Promise<void> => {
    {
      using poll = new AioPoll(eventfd.fd, () => {});
      poll.arm();
    }
    // Bun closes what its stream has opened a moment later.
    await Bun.sleep(50);
  };
  const before = ownDescriptors();
  refuseNext("io_setup", 12);
  expect(await begin().catch((error: unknown) => error)).toMatchObject({
    code: "ENOMEM",
    syscall: "io_setup",
  });
  await begin();
  expect(ownDescriptors()).toEqual(before);
});

for (const program of programs)
  test(program.name, async () => {
    const { calls, faults } = await everyCall(program, nightly);
    expect(faults).toEqual([]);
    expect(calls).toBeGreaterThan(3);
  });

describe("a device", () => {
  // One listener keeps the thread of all: that it comes and goes is tried above.
  let quiet: Eventfd;
  let listener: EventfdListener;
  beforeAll(() => {
    quiet = new Eventfd();
    listener = new EventfdListener(quiet.fd, () => {}, { via: "worker", keepAlive: false });
  });
  afterAll(() => {
    listener[Symbol.dispose]();
    quiet[Symbol.dispose]();
  });

  // Those that the kernel resets without a tenth of a second's wait.
  for (const program of [
    ...by("type1v2", "iommufd-compat").map((way) => driver("xhci", way)),
    ...by("iommufd").map((way) => driver("edu", way)),
    ...by("type1v2").map((way) => guest("edu", way)),
    ...by("iommufd").map((way) => guest("xhci", way)),
    ...by("type1v2").map((way) => machine("xhci", way)),
    ...by("iommufd").map((way) => machine("edu", way)),
  ])
    test(program.name, async () => {
      const started = performance.now();
      const { calls, faults } = await everyCall(program, nightly);
      console.log(`${program.name}: ${calls} calls, ${Math.round((performance.now() - started) / 1000)} s`);
      expect(faults).toEqual([]);
      expect(calls).toBeGreaterThan(50);
    });
});

test("no call of the library's table is left out", () => {
  console.log(table());
  const never = Object.keys(callTable).filter((name) => !refused.has(name as CallName));
  expect(never.sort()).toEqual(Object.keys(unreachable).sort());
});
