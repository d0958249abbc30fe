import { VfioError } from "../../../ffi/errors.ts";
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { getGroupDeviceFd, getGroupStatus, setGroupContainer } from "../../../ffi/vfio-group.ts";
import type { Sysroot } from "../../host/sysroot.ts";
import { groupNode, type GroupId } from "../../host/vfio-nodes.ts";
import { blockers, deviceHint, heldBy, joinHint, openHint } from "./open-hints.ts";
import { checkToken } from "./vf-token.ts";

/** An IOMMU group: the devices that the IOMMU cannot tell apart, so that they go to one user together. */
export class Group implements Disposable {
  /** As sysfs numbers it. */
  readonly number: number;
  readonly #host: Sysroot;
  readonly #descriptor: FileDescriptor;

  private constructor(number: number, host: Sysroot, descriptor: FileDescriptor) {
    this.number = number;
    this.#host = host;
    this.#descriptor = descriptor;
  }

  /**
   * Opens a group's node, of which the kernel allows one at a time; or takes part in one that is open.
   * @param bdf the device for whose sake it is opened, for messages
   * @param fd a descriptor of the group, which stays the caller's; else the node is opened
   * @throws VfioError EBUSY with who holds it, EPERM with who blocks it, ENOENT with what the device is bound to
   */
  static open(host: Sysroot, bdf: string, id: GroupId, fd?: number): Group {
    const node = groupNode(id);
    const name = `${bdf}: group ${id.number}`;
    const descriptor =
      fd === undefined
        ? FileDescriptor.open(host.at(node), {
            name,
            device: bdf,
            hint: (code) => openHint(host, bdf, node, code),
          })
        : FileDescriptor.duplicate(fd, name, { device: bdf });
    using failed = new DisposableStack();
    failed.use(descriptor);
    const { viable } = getGroupStatus(descriptor.fd, {
      device: name,
      hint: (code) => joinHint(host, bdf, id.number, code),
    });
    if (!viable)
      throw new VfioError(`${bdf}: group ${id.number} is not viable`, {
        code: "EPERM",
        errno: 1,
        request: "VFIO_GROUP_GET_STATUS",
        device: bdf,
        hint: blockers(host, id.number) ?? heldBy(host, bdf),
      });
    failed.move();
    return new Group(id.number, host, descriptor);
  }

  /** Open until this is disposed of. @throws VfioError (`ECLOSED`) afterwards */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Puts the group into a container, unless it is in one already. @throws VfioError */
  join(container: number, bdf: string): void {
    if (getGroupStatus(this.fd, { device: bdf }).containerSet) return;
    setGroupContainer(this.fd, container, {
      device: `${bdf}: group ${this.number}`,
      hint: (code) => joinHint(this.#host, bdf, this.number, code),
    });
  }

  /** @param token of a function that wants one @throws VfioError EACCES where it is missing or wrong */
  openDevice(bdf: string, token?: string): FileDescriptor {
    const name = token === undefined ? bdf : `${bdf} vf_token=${checkToken(token)}`;
    const fd = getGroupDeviceFd(this.fd, name, {
      device: bdf,
      hint: (code) => deviceHint(this.#host, bdf, token !== undefined, code),
    });
    return new FileDescriptor(fd, bdf, { device: bdf });
  }

  /** Closes the descriptor; the kernel takes the group out of its container. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#descriptor[Symbol.dispose]();
  }
}
