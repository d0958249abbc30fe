import { z } from "zod";
import type { Binding } from "../device/host/binding.ts";
import type { Sysroot } from "../device/host/sysroot.ts";
import { isBdfName } from "../device/host/pci-device.ts";
import { CliError } from "./failure.ts";
import { findDevice, idsText } from "./host.ts";
import { readText } from "./input.ts";

// A driver's name becomes a part of a path: nothing of it may lead elsewhere.
const driver = z
  .string()
  .regex(/^[\w-][\w .-]{0,63}$/, "expected the name of a driver")
  .nullable();
const schema = z.strictObject({
  format: z.literal("bun-vfio-undo"),
  version: z.literal(1),
  bindings: z
    .array(
      z.strictObject({
        bdf: z.string().refine(isBdfName, "expected a BDF"),
        ids: z
          .string()
          .regex(/^[0-9a-f?]{4}:[0-9a-f?]{4}$/, "expected vendor and device ID, as 8086:10c9")
          .optional(),
        driver,
        driverOverride: driver,
        persisted: z.boolean().optional(),
      }),
    )
    .max(4096),
});

/** What a function was bound to, and which one it was, where the file tells. */
export interface SavedBinding extends Binding {
  /** Vendor and device ID, as `8086:10c9`. */
  readonly ids: string | undefined;
  /** `bind --persist` wrote files for it. */
  readonly persisted: boolean;
}

/** What functions were bound to before they were changed, as a file. @param persisted those that files were written for */
export const undoText = (
  files: Sysroot,
  bindings: readonly Binding[],
  persisted: ReadonlySet<string> = new Set(),
): string =>
  `${JSON.stringify(
    {
      format: "bun-vfio-undo",
      version: 1,
      bindings: bindings.map(({ bdf, driver, driverOverride }) => ({
        bdf,
        ids: idsText(findDevice(files, bdf)),
        driver: driver ?? null,
        driverOverride: driverOverride ?? null,
        ...(persisted.has(bdf) && { persisted: true }),
      })),
    },
    undefined,
    2,
  )}\n`;

/** Reads what `undoText` wrote. @throws CliError that names the file and what is wrong */
export function readUndo(path: string): SavedBinding[] {
  const what = "an undo file, as bun-vfio bind --undo-file writes it";
  let content: unknown;
  try {
    content = JSON.parse(readText(path, what));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${path}: not JSON; expected ${what}`);
  }
  const parsed = schema.safeParse(content);
  if (!parsed.success) {
    const { path: place, message } = parsed.error.issues[0]!;
    const at = place.length === 0 ? "" : `${place.join(".")}: `;
    throw new CliError(`${path}: ${at}${message}; expected ${what}`);
  }
  return parsed.data.bindings.map(({ bdf, ids, driver, driverOverride, persisted = false }) => ({
    bdf,
    ids,
    driver: driver ?? undefined,
    driverOverride: driverOverride ?? undefined,
    persisted,
  }));
}
