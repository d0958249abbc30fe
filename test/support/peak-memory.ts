// Preloaded into a run: tells at its end how much memory it had at most, as the last line of standard error. What wait4(2)
// tells of a child begins with what its parent had.
import { readFileSync, writeSync } from "node:fs";

process.on("exit", () => {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"))![1]!;
  writeSync(2, `peak ${Number(peak) * 1024}\n`);
});
