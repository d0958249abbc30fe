// Peers that nobody trusts: mutated conversations with each end of vfio-user. Nothing crashes, nothing is left open, no memory
// is reached but what is mapped, and the next peer is served. `npm run fuzz:vfio-user` has as many as one likes.
import { expect, setDefaultTimeout, test } from "bun:test";
import { Command } from "../../src/device/vfio-user/messages/header.ts";
import { fuzzClient } from "./vfio-user/client-conversations.ts";
import { fuzzServer } from "./vfio-user/server-conversations.ts";
import { doable } from "./vfio-user/utterances.ts";

setDefaultTimeout(600_000);

/** How often each command succeeds at the least. */
const least = 1000;
const seed = 15;

test("a server survives clients, and does each command a thousand times", async () => {
  const report = await fuzzServer({ cases: 6000, seed });
  console.log(report.text("server", seed));
  expect(report.below(least, [...doable, Command.version, Command.dmaRead, Command.dmaWrite])).toEqual([]);
  expect(report.ended).toBeGreaterThan(100);
  expect(report.checked).toBeGreaterThan(least);
});

test("a client survives servers, and has each command done a thousand times", async () => {
  const report = await fuzzClient({ cases: 2500, seed });
  console.log(report.text("client", seed));
  const { regionWriteMulti, ...asked } = Command;
  const never: readonly number[] = [
    ...[asked.regionIoFds, asked.dirtyPages, regionWriteMulti, asked.migrationRead, asked.migrationWrite],
  ];
  const commands = Object.values(Command).filter((command) => !never.includes(command));
  expect(report.below(least, commands)).toEqual([]);
  expect(report.ended).toBeGreaterThan(100);
  expect(report.checked).toBeGreaterThan(least);
});
