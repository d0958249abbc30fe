import { allOnes, type GuestAnswers, type Unanswered } from "../../seam/guest-answers.ts";
import type { ConfigSpace } from "./config-space.ts";

/**
 * A guest's access to config space that goes to no device, and why; of one that a device fails `ConfigDevice` tells.
 * @returns all ones in its width
 */
export function unansweredConfig(
  { config, answers }: { readonly config: ConfigSpace; readonly answers: GuestAnswers },
  unanswered: Unanswered,
  detached: boolean,
): number {
  const { access, offset, width } = unanswered;
  if (detached) answers.silent(unanswered, "the device is detached");
  else if (config.gone) answers.silent(unanswered, "the device is gone");
  // A guest looks for extended config space by reading there: nothing is wrong.
  else if (config.isBeyond(offset, width)) answers.silent(unanswered, "config space ends before it");
  else {
    const where = `config ${access} of ${width} at ${offset}`;
    answers.failed("bad-access", where, unanswered, "no PCI host makes such an access");
  }
  return allOnes(width);
}
