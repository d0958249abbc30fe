// What a message costs: system calls, and bytes of JavaScript's heap. Each end by itself, the other in another thread.
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { Sandbox } from "../../support/sandbox.ts";

setDefaultTimeout(120_000);

const messages = 100_000;

/** With the collector off nothing is given back: what is left was taken. */
function costs(role: "client" | "server" | "loop"): { bytes: number; calls: number } {
  using box = new Sandbox();
  const script = join(import.meta.dir, "../../support/message-costs.ts");
  const { code, stdout, stderr } = box.run(
    [process.execPath, script, role, String(messages), join(box.path, "socket")],
    { env: { ...process.env, BUN_JSC_useGC: "0" } },
  );
  if (code !== 0) throw new Error(stdout + stderr);
  return JSON.parse(stdout) as { bytes: number; calls: number };
}

test.each(["client", "server"] as const)(
  "a %s that blocks makes two system calls a message, one each way, and takes nothing of the heap",
  (role) => {
    const { bytes, calls } = costs(role);
    expect(calls).toBeCloseTo(2, 1);
    // A block of the heap is 16 KiB; one may be taken by what is not measured.
    expect(bytes).toBeLessThan(1);
  },
);

test("a server on the event loop makes four, of which two are the wait", () => {
  expect(costs("loop").calls).toBeCloseTo(4, 1);
});
