/** How commands end: type and code of their status in one number (4.6.1). */
export const status = {
  ...{
    success: 0,
    invalidOpcode: 0x01,
    invalidField: 0x02,
    dataTransfer: 0x04,
    internal: 0x06,
    aborted: 0x07,
  },
  ...{ queueDeleted: 0x08, invalidNamespace: 0x0b, sequence: 0x0c, prpOffset: 0x13, beyondEnd: 0x80 },
  ...{ invalidCompletions: 0x100, invalidQueue: 0x101, invalidQueueSize: 0x102, tooManyEvents: 0x105 },
  ...{ invalidVector: 0x108, invalidLogPage: 0x109, invalidDeletion: 0x10c, notSaveable: 0x10d },
  ...{ writeFault: 0x280, readFault: 0x281 },
} as const;

/** Ends a command with a status. */
export class CommandError extends Error {
  readonly status: number;
  constructor(name: keyof typeof status) {
    super(`an NVMe command ends: ${name}`);
    this.status = status[name];
  }
}

/** Ends the command unless it is so. */
export function need(isSo: boolean, otherwise: keyof typeof status): asserts isSo {
  if (!isSo) throw new CommandError(otherwise);
}

/** How a command ends for which this was thrown: what is no status is memory that is none. */
export const statusOf = (error: unknown): number =>
  error instanceof CommandError ? error.status : status.dataTransfer;
