import type { DeviceEventKind, ReportEvent } from "./events.ts";
import { messageOf } from "../../regs/message-of.ts";

/** Something that stays as it should not be: told once, and again where the reason is another, or it was mended meanwhile. */
export class StandingFault {
  readonly #report: ReportEvent;
  readonly #kind: DeviceEventKind;
  /** What was told last; undefined while all is well. */
  #told: string | undefined;

  /** All is well. */
  constructor(report: ReportEvent, kind: DeviceEventKind) {
    this.#report = report;
    this.#kind = kind;
  }

  /** It is not as it should be, or still not. */
  tell(message: string, cause?: unknown): void {
    const told = `${message}: ${messageOf(cause)}`;
    if (told === this.#told) return;
    this.#told = told;
    this.#report(this.#kind, message, cause);
  }

  /** It is as it should be: the next failure is news. */
  mended(): void {
    this.#told = undefined;
  }
}
