import { VfioError } from "../../../ffi/errors.ts";
import { FileDescriptor } from "../../../ffi/file-descriptor.ts";
import { checkExtension, getApiVersion, setIommu } from "../../../ffi/vfio-container.ts";
import { answersAsIommufd } from "../../../ffi/iommufd-option.ts";
import { getIommuInfo, hasIommu, mapDma, unmapDma, type Type1Info } from "../../../ffi/vfio-type1.ts";
import { vfioApi, vfioExtension } from "../../../regs/ioctl/vfio-container.ts";
import { vfioDmaMapFlag, vfioDmaUnmapFlag } from "../../../regs/ioctl/vfio-iommu.ts";
import { DmaMap } from "../../dma/dma-map.ts";
import type { Iommu, IommuMapping } from "../../seam/iommu.ts";
import type { Range } from "../../address/range.ts";
import { thisHost, type Sysroot } from "../../host/sysroot.ts";
import { containerNode, groupIdOf, iommufdNode, type GroupId } from "../../host/vfio-nodes.ts";
import { chooseIommu, iommuTypes, wrongKind, type ContainerIommu } from "./container-iommu.ts";
import { Group } from "./group.ts";
import { joinHint, missingNode, openHint } from "./open-hints.ts";
import { toRanges } from "./iova-ranges.ts";
import { lockableBytes, memlockAccount } from "./memlock.ts";
import { mapHint, unmapHint } from "../../dma/map-hints.ts";
import { SharedLifetime } from "./shared-lifetime.ts";

/** How to open a container. */
export interface ContainerOptions {
  /** `type1v2` where the kernel has it and else `type1`, unless given. */
  readonly iommu?: ContainerIommu | undefined;
  /** The node to open: VFIO's own (default), or an iommufd that takes its place. */
  readonly node?: "vfio" | "iommufd" | undefined;
  /** A descriptor of a container or an iommufd, which stays the caller's; else the node is opened. */
  readonly fd?: number | undefined;
  /** Whose containers; this host's without it. */
  readonly host?: Sysroot | undefined;
}

/** A group in the container, and how many open devices it is in for. */
interface Member {
  readonly group: Group;
  users: number;
  readonly leave: () => void;
}

/**
 * A container: the address space that the devices of its groups share. It maps once a device is in it.
 * `dispose` refuses new devices at once, and closes the descriptor when the last device has left.
 */
export class Container implements Iommu {
  /** What maps in it: a type1 IOMMU, or none. */
  readonly iommu: ContainerIommu;
  /** Whether an iommufd stands in the container's place. */
  readonly isIommufd: boolean;
  /** Made from a descriptor that was given: who opened that may map in it too. */
  readonly exclusive: boolean;
  /** What is mapped in it, for all of its devices; undefined for one that does not map. */
  readonly dma: DmaMap | undefined;
  /** The host whose container it is. */
  readonly host: Sysroot;
  readonly #descriptor: FileDescriptor;
  readonly #groups = new Map<number, Member>();
  readonly #life: SharedLifetime;
  #limit: number | undefined;
  #pageSize = 0;
  #active = false;
  /** As the devices that are in it now leave them. */
  #ranges: readonly Range[] | undefined;

  private constructor(
    descriptor: FileDescriptor,
    iommu: ContainerIommu,
    isIommufd: boolean,
    exclusive: boolean,
    host: Sysroot,
  ) {
    this.#descriptor = descriptor;
    this.iommu = iommu;
    this.isIommufd = isIommufd;
    this.exclusive = exclusive;
    this.host = host;
    const account = isIommufd ? memlockAccount(descriptor.fd) : "process";
    this.dma = iommu === "noiommu" ? undefined : new DmaMap(this, { lockable: () => lockableBytes(account) });
    this.#life = new SharedLifetime(
      () => this.name,
      () => {
        using _ = descriptor;
        this.dma?.[Symbol.dispose]();
      },
    );
  }

  /** @throws VfioError where there is no such node, or the kernel does not map that way */
  static open(options: ContainerOptions = {}): Container {
    const { host = thisHost, node = "vfio", fd } = options;
    const path = node === "iommufd" ? iommufdNode : containerNode;
    const descriptor =
      fd === undefined
        ? FileDescriptor.open(host.at(path), {
            name: "container",
            hint: (code) => openHint(host, undefined, path, code),
          })
        : FileDescriptor.duplicate(fd, "container");
    using failed = new DisposableStack();
    failed.use(descriptor);
    const version = getApiVersion(descriptor.fd, { device: "container" });
    if (version !== vfioApi.VERSION)
      throw new VfioError(`container: VFIO has version ${version}, not ${vfioApi.VERSION}`, {
        code: "EINVAL",
      });
    const container = new Container(
      descriptor,
      chooseIommu(descriptor.fd, options.iommu),
      node === "iommufd" || answersAsIommufd(descriptor.fd),
      fd === undefined,
      host,
    );
    if (fd !== undefined && container.iommu !== "noiommu" && hasIommu(descriptor.fd)) container.#learn();
    failed.move();
    return container;
  }

  get name(): string {
    return `${this.iommu} container${this.isIommufd ? " of an iommufd" : ""}`;
  }

  /** Open as long as this is, or a device in it. @throws VfioError (`ECLOSED`) afterwards */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Keeps it open for a device whose group somebody else has. @returns what ends that @throws VfioError (`ECLOSED`) */
  hold(): () => void {
    return this.#life.acquire();
  }

  /** Groups that are in it now. */
  get groups(): readonly Group[] {
    return [...this.#groups.values()].map(({ group }) => group);
  }

  /**
   * Brings the group of a device in, and the container its IOMMU with the first one. Several devices of a group share it.
   * @param fd a descriptor of the group, which stays the caller's; else its node is opened
   * @returns the group, and what takes this user off it: the last one closes the group
   * @throws VfioError with who holds or blocks the group @internal
   */
  enter(bdf: string, fd?: number): { readonly group: Group; readonly leave: () => void } {
    this.#life.check();
    const id = groupIdOf(this.host, bdf);
    if (!id)
      throw new VfioError(`${bdf}: has no IOMMU group`, {
        code: "ENODEV",
        device: bdf,
        hint: missingNode(this.host, bdf),
      });
    if (id.noiommu !== (this.iommu === "noiommu")) throw wrongKind(bdf, id, this.name);
    const member = this.#groups.get(id.number) ?? this.#add(bdf, id, fd);
    member.users++;
    let inside = true;
    const leave = (): void => {
      if (!inside) return;
      inside = false;
      if (--member.users === 0) this.#remove(member);
    };
    return { group: member.group, leave };
  }

  #add(bdf: string, id: GroupId, fd: number | undefined): Member {
    this.#ranges = undefined;
    using failed = new DisposableStack();
    const group = failed.use(Group.open(this.host, bdf, id, fd));
    group.join(this.#descriptor.fd, bdf);
    if (!this.#active) this.#start(bdf, group);
    const member = { group, users: 0, leave: this.#life.acquire() };
    this.#groups.set(group.number, member);
    failed.move();
    return member;
  }

  #remove({ group, leave }: Member): void {
    this.#groups.delete(group.number);
    this.#ranges = undefined;
    using order = new DisposableStack();
    order.defer(leave);
    // The kernel takes the IOMMU, and all mappings, from a container without groups; an iommufd keeps both.
    const ends = this.#groups.size === 0 && !this.isIommufd;
    if (ends)
      order.defer(() => {
        this.#active = false;
        this.dma?.forget();
      });
    order.use(group);
    if (ends) order.use(this.dma);
  }

  #start(bdf: string, group: Group): void {
    setIommu(this.#descriptor.fd, iommuTypes[this.iommu], {
      device: bdf,
      hint: (code) => joinHint(this.host, bdf, group.number, code),
    });
    this.#learn();
  }

  #learn(): void {
    if (this.iommu !== "noiommu") {
      const { pageSizes, available } = this.#info(this.#descriptor.fd);
      this.#pageSize = Number(pageSizes & -pageSizes);
      // An iommufd has no limit, and says 65535 in its place.
      this.#limit = this.isIommufd ? undefined : available;
    }
    this.#active = true;
  }

  #info(fd = this.#mapping()): Type1Info {
    return getIommuInfo(fd, { device: this.name });
  }

  /** The descriptor, where it maps. */
  #mapping(): number {
    const why =
      this.iommu === "noiommu"
        ? "has no IOMMU that could map"
        : this.#active
          ? undefined
          : "maps nothing before a device is in it";
    if (why === undefined) return this.#descriptor.fd;
    const code = this.iommu === "noiommu" ? "EOPNOTSUPP" : "EINVAL";
    throw new VfioError(`${this.name} ${why}`, { code, device: this.name });
  }

  get pageSize(): number {
    this.#mapping();
    return this.#pageSize;
  }
  get ranges(): readonly Range[] {
    this.#mapping();
    // Who gave the descriptor may bring devices in.
    if (!this.exclusive || !this.#ranges) this.#ranges = toRanges(this.#info().ranges ?? []);
    return this.#ranges;
  }
  get maxMappings(): number | undefined {
    return this.#limit;
  }
  readonly accountsMemlock = true;
  readonly mapsFiles = false;
  get mapsDeviceMemory(): boolean {
    return !this.isIommufd;
  }

  map({ iova, size, hva, readable, writable, file }: IommuMapping): void {
    const fd = this.#mapping();
    if (file)
      throw new VfioError(`${this.name} does not map files`, { code: "EOPNOTSUPP", device: this.name });
    const flags = (readable ? vfioDmaMapFlag.READ : 0) | (writable ? vfioDmaMapFlag.WRITE : 0);
    mapDma(fd, flags, hva, iova, size, { device: this.name, hint: mapHint });
  }

  /** @returns bytes unmapped @throws VfioError of the kernel, as EINVAL of `type1v2` where a mapping lies in the range in part */
  unmap(iova: number, size: number): number {
    return unmapDma(this.#mapping(), 0, iova, size, { device: this.name, hint: unmapHint });
  }

  /** Takes back every mapping of the container. @returns bytes unmapped @throws VfioError of the kernel */
  unmapAll(): number {
    const fd = this.#mapping();
    const context = { device: this.name };
    if (checkExtension(fd, vfioExtension.UNMAP_ALL, context) > 0)
      return unmapDma(fd, vfioDmaUnmapFlag.ALL, 0, 0, context);
    // Before Linux 5.12: in two halves, since the size of all does not fit 64 bits.
    const half = 2n ** 63n;
    return unmapDma(fd, 0, 0, half, context) + unmapDma(fd, 0, half, half, context);
  }

  /** Refuses new devices; the descriptor is closed with the last device. Safe to call twice. */
  [Symbol.dispose](): void {
    this.#life.release();
  }
}
