import type { MsiMessage } from "../../seam/platform.ts";
import { refuse } from "./journal.ts";

/** One entry of the routing table. */
export interface Route {
  /** Of the device's vectors, as the platform counts them. */
  readonly group: number;
  /** In its group, from 0 on. */
  readonly vector: number;
  /** What the guest's interrupt controller is sent. */
  readonly message: MsiMessage;
}

/**
 * What KVM holds of the virtual machine's MSI interrupts: one routing table by GSI, and the irqfds.
 * It is stricter than KVM, which lets an irqfd stand without a route and drops its events in silence.
 */
export class Irqchip {
  readonly maxRoutes: number;
  readonly #routes = new Map<number, Route>();
  readonly #irqfds = new Set<number>();

  constructor(maxRoutes: number) {
    this.maxRoutes = maxRoutes;
  }

  /** Routes of all groups. */
  get routes(): number {
    return this.#routes.size;
  }

  route(gsi: number): Route | undefined {
    return this.#routes.get(gsi);
  }

  /** Puts a whole new table in place, given as what differs from the old one. @throws VfioError; then nothing has changed */
  setRouting(changes: ReadonlyMap<number, Route | undefined>): void {
    let size = this.#routes.size;
    for (const [gsi, route] of changes) {
      if (!route && this.#irqfds.has(gsi))
        throw refuse(
          "EINVAL",
          `GSI ${gsi} would lose its route while its irqfd is on: its events would be lost`,
        );
      size += Number(route !== undefined) - Number(this.#routes.has(gsi));
    }
    this.checkRoom(size);
    for (const [gsi, route] of changes)
      if (route) this.#routes.set(gsi, route);
      else this.#routes.delete(gsi);
  }

  /** @throws VfioError if a table of `size` routes is too long */
  checkRoom(size: number): void {
    if (size > this.maxRoutes)
      throw refuse(
        "ENOSPC",
        `the interrupt routing table holds ${this.maxRoutes} routes, ${size} are wanted`,
        "Let the guest use fewer vectors, or raise maxRoutes if the hypervisor has more.",
      );
  }

  /** @throws VfioError without a route, or if it is on */
  irqfdOn(gsi: number): void {
    if (!this.#routes.has(gsi)) throw refuse("EINVAL", `GSI ${gsi} has no route: its events would be lost`);
    if (this.#irqfds.has(gsi)) throw refuse("EBUSY", `the irqfd of GSI ${gsi} is on already`);
    this.#irqfds.add(gsi);
  }

  /** @throws VfioError if it is not on */
  irqfdOff(gsi: number): void {
    if (!this.#irqfds.delete(gsi)) throw refuse("ENOENT", `the irqfd of GSI ${gsi} is not on`);
  }

  hasIrqfd(gsi: number): boolean {
    return this.#irqfds.has(gsi);
  }

  /** By group and vector: GSIs count up in that order. */
  state(): { routes: Route[]; irqfds: { group: number; vector: number }[] } {
    const sorted = [...this.#routes].sort(([a], [b]) => a - b);
    return {
      routes: sorted.map(([, route]) => route),
      irqfds: sorted
        .filter(([gsi]) => this.#irqfds.has(gsi))
        .map(([, { group, vector }]) => ({ group, vector })),
    };
  }

  clear(): void {
    this.#routes.clear();
    this.#irqfds.clear();
  }
}
