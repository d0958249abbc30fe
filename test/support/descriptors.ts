import { readdirSync, readlinkSync } from "node:fs";

/** What this process has open, by descriptor, without what reading the list itself opens. */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`];
    } catch {
      return [];
    }
  });
}
