/** The facts of a failure; each is there where it is known. */
export interface VfioErrorDetails {
  /** Errno name such as `EBUSY`, or a name of this library's own in the same style: `EBADIMAGE`, `ECLOSED`. */
  readonly code: string;
  /** As the kernel gave it, positive. */
  readonly errno?: number | undefined;
  /** The system call: `ioctl`, `pread`, `mmap`. */
  readonly syscall?: string | undefined;
  /** The ioctl's name, with what it was asked for: `VFIO_DEVICE_SET_IRQS MSIX start 0 count 4`. */
  readonly request?: string | undefined;
  /** BDF, or the name of the recorded device. */
  readonly device?: string | undefined;
  /** The next step that a person can take. */
  readonly hint?: string | undefined;
  /** How many there are of what was asked for, where the kernel says so: of interrupt vectors. */
  readonly available?: number | undefined;
  /** What was thrown below. */
  readonly cause?: unknown;
}

/** What failed, on which device, with which arguments, why, and what to do about it. */
export class VfioError extends Error {
  /** Always this. */
  override readonly name = "VfioError";
  /** What failed, for programs: the name of an errno, or a word of this library as `ECLOSED`. */
  readonly code: string;
  /** As the kernel gave it; undefined where no system call failed. */
  readonly errno: number | undefined;
  /** The system call that failed. */
  readonly syscall: string | undefined;
  /** What was asked: the name of an ioctl, the file of a write. */
  readonly request: string | undefined;
  /** BDF, or what else the call was for. */
  readonly device: string | undefined;
  /** The next step that a person can take: a sentence. */
  readonly hint: string | undefined;
  /** How many there are of what was asked for too many of. */
  readonly available: number | undefined;

  /** For those who implement a backend or a platform. @param message for people; the details are for programs */
  constructor(message: string, details: VfioErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code;
    this.errno = details.errno;
    this.syscall = details.syscall;
    this.request = details.request;
    this.device = details.device;
    this.hint = details.hint;
    this.available = details.available;
  }
}
