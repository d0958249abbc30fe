import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { resetMethods, setResetMethods } from "../../../../src/device/backends/kernel/reset-methods.ts";
import { fakeHost } from "./fake-host.ts";

test("reset methods are read and chosen in sysfs", () => {
  using host = fakeHost();
  host.device("0000:01:00.0", { resetMethod: "flr pm bus" });
  host.device("0000:02:00.0", {});
  expect(resetMethods(host.files, "0000:01:00.0")).toEqual(["flr", "pm", "bus"]);
  expect(resetMethods(host.files, "0000:02:00.0")).toEqual([]);
  setResetMethods(host.files, "0000:01:00.0", ["pm", "flr"]);
  expect(readFileSync(`${host.files.at("/sys")}/bus/pci/devices/0000:01:00.0/reset_method`, "utf8")).toBe(
    "pm flr\n",
  );
  expect(() => setResetMethods(host.files, "0000:01:00.0", ["a/b"])).toThrow(RangeError);
  expect(() => setResetMethods(host.files, "0000:03:00.0", ["flr"])).toThrow(
    expect.objectContaining({
      code: "ENOENT",
      device: "0000:03:00.0",
      hint: expect.stringContaining("nothing"),
    }),
  );
});
