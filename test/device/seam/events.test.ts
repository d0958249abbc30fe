// What an event's message says: in a log, and in a recording, it is all that there is.
import { expect, test } from "bun:test";
import { eventReporter, type DeviceEvent } from "../../../src/device/seam/events.ts";
import { TraceKind } from "../../../src/device/seam/trace.ts";

test("an event's message has its cause, once, for the listener and for the trace", () => {
  const heard: DeviceEvent[] = [];
  const traced: unknown[] = [];
  const report = eventReporter("0000:01:00.0", (event) => heard.push(event), {
    record: (kind, ...rest) => traced.push([kind, rest.at(-1)]),
  });
  const cause = new Error("EBUSY");
  report("msix", "no cause");
  report("msix", "BAR0 stays trapped", cause);
  report("msix", "BAR0 stays trapped: EBUSY", cause);
  report("msix", "BAR0 stays trapped", "no error");
  const messages = [
    "no cause",
    "BAR0 stays trapped: EBUSY",
    "BAR0 stays trapped: EBUSY",
    "BAR0 stays trapped: no error",
  ];
  expect(heard.map(({ message }) => message)).toEqual(messages);
  expect(heard.map((event) => event.cause)).toEqual([undefined, cause, cause, "no error"]);
  expect(traced).toEqual(messages.map((message) => [TraceKind.event, message]));
});
