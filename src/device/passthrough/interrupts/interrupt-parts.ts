import type { Located } from "../../pci/config-offset.ts";
import type { MsixGeometry } from "../../pci/msix-geometry.ts";
import type { VectorChange } from "../../seam/platform.ts";
import type { MsiState } from "./msi-state.ts";
import type { MsixState } from "./msix-state.ts";
import type { VectorRouting } from "./vector-routing.ts";

export interface MsiParts {
  readonly state: MsiState;
  readonly routing: VectorRouting;
}
export interface MsixParts {
  readonly state: MsixState;
  readonly routing: VectorRouting;
  readonly capability: Located;
  readonly physical: MsixGeometry;
  /** Whether the device has pending bits there. */
  readonly hasPending: boolean;
  /** Where the guest sees table and PBA. */
  readonly guest: MsixGeometry;
}

/** What both state machines have. */
export interface Vectors {
  enabled: boolean;
  /** Vectors whose events go to the guest now. */
  wantedVectors(): number[];
  pendingChanges(): VectorChange[];
  applied(changes: readonly VectorChange[]): void;
}
