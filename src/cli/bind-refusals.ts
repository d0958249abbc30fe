// What the commands that change drivers say of what they had better not do.
import { rebindRefusals, type RebindRefusal } from "../device/host/rebind-refusals.ts";
import type { Rebinding } from "../device/host/binding.ts";
import type { Sysroot } from "../device/host/sysroot.ts";
import { CliError } from "./failure.ts";

const line = ({ bdf, reason, remedy }: RebindRefusal): string =>
  `${bdf}: ${reason}${remedy === undefined ? "" : `; ${remedy}`}`;

/**
 * Refuses what the host would miss, and what would wait or cannot work.
 * @param force does it all the same, but for a bridge
 * @param more reasons of the command's own
 * @throws CliError with the reasons
 */
export function refuse(
  files: Sysroot,
  rebindings: readonly Rebinding[],
  force: boolean,
  more: readonly string[] = [],
): void {
  const found = rebindRefusals(files, rebindings);
  const bridge = found.find(({ kind }) => kind === "bridge");
  if (bridge) throw new CliError(line(bridge));
  const [first, ...rest] = [...more, ...found.map(line)];
  if (force || first === undefined) return;
  const others = rest.length === 0 ? "" : ` (and ${rest.length} more: ${rest.join("; ")})`;
  const waits = more.length === 0 && found.every(({ kind }) => kind === "open");
  throw new CliError(
    `refused: ${first}${others}; --force ${waits ? "waits until they let go of it" : "does it all the same"}`,
  );
}
