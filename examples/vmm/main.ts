#!/usr/bin/env bun
// A virtual machine monitor for Linux guests with devices of the host. See README.md beside this file.
import { FlightRecorder, serveFlight, TraceFile, VfioError } from "bun-vfio";
import { help, Keys, openTerminal, writeAll, type Command } from "./console.ts";
import { parseOptions, usage, UsageError, type VmmOptions } from "./options.ts";
import { Pc, type PcEnd, type PcHost } from "./pc.ts";
import type { LoadedPc } from "./saved.ts";
import { readSaved } from "./snapshot.ts";

const status = { done: 0, failed: 1, usage: 2, reset: 3 } as const;

/** How often a machine is stopped to be saved, a little later each time, before that is given up. */
const mostTries = 50;

const byte = new Uint8Array(1);
const host: PcHost = {
  send: (value) => {
    byte[0] = value;
    writeAll(1, byte);
  },
  say: (message) => writeAll(2, new TextEncoder().encode(`vmm: ${message}\r\n`)),
};

/** What a person wants of the machine that runs. */
interface Asked {
  what: Command["kind"] | undefined;
}

/** Runs a machine until it ends, or is saved where that is asked for. A save that fails is said, and the guest runs on. */
async function run(pc: Pc, asked: Asked, file: string | undefined): Promise<PcEnd> {
  for (let tries = 1; ; tries++) {
    const end = await pc.run();
    if (end !== "stopped" || asked.what !== "snapshot" || file === undefined) return end;
    const failure = await failureOf(pc.save(file));
    if (failure === undefined) host.say(`saved to ${file}`);
    if (failure === undefined) return end;
    // The middle of an instruction is soon over.
    if (failure.code === "EAGAIN" && tries < mostTries) {
      setTimeout(() => pc.stop(), tries);
      continue;
    }
    host.say(`not saved, the guest runs on: ${explain(failure).replaceAll("\n", "\r\n")}`);
    tries = 0;
    if (asked.what === "snapshot") asked.what = undefined;
  }
}

/** Runs machines, one after the other as the guest resets itself. @returns the exit status */
async function vmm(options: VmmOptions): Promise<number> {
  let saved: LoadedPc | undefined;
  let machine = options;
  if (options.restore !== undefined) {
    saved = readSaved(options.restore);
    machine = { ...options, memory: saved.memory, cpus: saved.cpus.length };
  }
  let pc: Pc | undefined;
  const asked: Asked = { what: undefined };
  const obey = (command: Command): void => {
    if (command.kind === "help" || (command.kind === "snapshot" && options.snapshot === undefined))
      return host.say(command.kind === "help" ? help : "there is no --snapshot FILE to save to");
    if (command.kind === "unplug") return pc?.unplug(command.slot);
    asked.what = command.kind;
    pc?.stop();
  };
  const keys = new Keys(obey);
  using trace = options.trace === undefined ? undefined : new TraceFile(options.trace);
  for (;;) {
    using recorders = new DisposableStack();
    const flight = flightOf(options.flightRecorder, options.flightLive, recorders);
    await using current = await Pc.build(machine, { ...host, trace, flight }, saved);
    pc = current;
    // What is typed while there is no machine waits in the terminal for the next.
    using _terminal = openTerminal((typed) => current.serial.receive(keys.take(typed)));
    const end = await run(current, asked, options.snapshot);
    if (end !== "reset") return status.done;
    if (!options.reboot) return status.reset;
    if (options.kernel === "") {
      host.say("the guest resets itself, and no --kernel says what to boot");
      return status.reset;
    }
    saved = undefined;
  }
}

/** Makes recorders whose files a SIGKILL leaves readable. @param path of slot 1's @param live its socket */
function flightOf(path: string | undefined, live: string | undefined, recorders: DisposableStack) {
  if (path === undefined) return undefined;
  return (slot: number): FlightRecorder => {
    const recorder = recorders.use(new FlightRecorder({ file: slot === 1 ? path : `${path}.${slot}` }));
    if (slot === 1 && live !== undefined) recorders.use(serveFlight(recorder, live));
    return recorder;
  };
}

/** @throws what is no VfioError: that is a defect */
async function failureOf(saving: Promise<void>): Promise<VfioError | undefined> {
  try {
    await saving;
    return undefined;
  } catch (error) {
    if (error instanceof VfioError) return error;
    throw error;
  }
}

/** A failure for a person: what, why, and what to do. */
function explain(error: unknown): string {
  if (error instanceof UsageError) return `${error.message}\n${usage}`;
  const text = error instanceof Error ? error.message : String(error);
  return error instanceof VfioError && error.hint !== undefined ? `${text}\n  ${error.hint}` : text;
}

async function main(words: readonly string[]): Promise<number> {
  try {
    const options = parseOptions(words);
    if (options) return await vmm(options);
    writeAll(1, new TextEncoder().encode(usage));
    return status.done;
  } catch (error) {
    writeAll(2, new TextEncoder().encode(`vmm: ${explain(error).trimEnd()}\n`));
    return error instanceof UsageError ? status.usage : status.failed;
  }
}

process.exit(await main(process.argv.slice(2)));
