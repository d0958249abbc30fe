// All properties of this folder; those of vfio-user's ends have a folder and a command of their own.
import { attachAnything, scarcePlatforms } from "./attach-anything.ts";
import { callbacks } from "./callbacks.ts";
import { configPairs, configSpaces, mutatedRecordings } from "./config-spaces.ts";
import { damagedSnapshots } from "./damaged-snapshots.ts";
import { detachFaults, faults } from "./faults.ts";
import { knownKinds } from "./known-kinds.ts";
import { images, traces } from "./files.ts";
import { flights } from "./flights.ts";
import { guestSequences, snapshots } from "./guest.ts";
import { lyingDevices } from "./lying-devices.ts";
import { lyingKernels } from "./lying-kernels.ts";
import { lyingPlatforms } from "./lying-platforms.ts";
import { savedMachines } from "./saved-machines.ts";
import { scarceHosts } from "./scarce-hosts.ts";
import type { Property } from "./property.ts";

export const properties: readonly Property[] = [
  ...[guestSequences, snapshots, damagedSnapshots],
  ...[attachAnything, scarcePlatforms, scarceHosts, lyingDevices, lyingKernels],
  ...[faults, detachFaults, callbacks, lyingPlatforms],
  ...[configSpaces, configPairs, mutatedRecordings, knownKinds, images, traces, flights, savedMachines],
];
