import { expect, test } from "bun:test";
import { Keys, type Command } from "../../../examples/vmm/console.ts";

/** What is typed in pieces: what the guest gets, and what is asked of the VMM. */
function type(...pieces: string[]): { guest: string; commands: Command[] } {
  const commands: Command[] = [];
  const keys = new Keys((command) => commands.push(command));
  const bytes = pieces.flatMap((piece) => keys.take(new TextEncoder().encode(piece)));
  return { guest: String.fromCharCode(...bytes), commands };
}

test("all but Ctrl-A and what follows it is the guest's", () => {
  expect(type("ls\r", "\x01", "xps")).toEqual({ guest: "ls\rps", commands: [{ kind: "quit" }] });
  expect(type("\x01\x01c")).toEqual({ guest: "\x01c", commands: [] });
  expect(type("\x01s").commands).toEqual([{ kind: "snapshot" }]);
  expect(type("\x01?").commands).toEqual([{ kind: "help" }]);
});

test("a slot is a number up to Enter", () => {
  expect(type("\x01d 1", "2\rx")).toEqual({ guest: "x", commands: [{ kind: "unplug", slot: 12 }] });
  expect(type("\x01d3\n").commands).toEqual([{ kind: "unplug", slot: 3 }]);
  expect(type("\x01dx").commands).toEqual([{ kind: "help" }]);
});
