/** A virtual machine, as those see it who make requests on it. */
export interface VmDescriptor {
  /** @throws VfioError (`ECLOSED`) once it is closed */
  readonly fd: number;
  readonly closed: boolean;
}
