// Plans of devices that are like one before are found instead of made: attach decides the same for each device of a kind.
import type { ConfigImage } from "../pci/config-image.ts";
import { KnownOfKind, type Fact } from "../pci/known-of-kind.ts";
import type { PlanContext } from "./attach-context.ts";
import { planAttach, type AttachPlan } from "./attach-plan.ts";
import { copyTables } from "./config/config-tables.ts";

const plans = new KnownOfKind<AttachPlan>();

/** As `planAttach`, with tables of the device's own. @throws RangeError as that */
export function planFor(context: PlanContext, image: ConfigImage): AttachPlan {
  const plan = plans.get(image.kind, factsOf(context), () => planAttach(context, image));
  return { ...plan, tables: copyTables(plan.tables, image) };
}

/** All that a plan follows from besides the kind of the device, one after another; how long its lists are comes before them. */
function factsOf({ backend, platform, options, vectors }: PlanContext): Fact[] {
  const { rom, multiFunction, gpuDirectClique, msixRelocation, msiVectors, msixVectors } = options;
  const { hide, expose, excludeFromMapping, configMirrors } = options;
  const facts: Fact[] = [platform.pageSize, vectors.msi, vectors.msix, backend.regions.length];
  facts.push(rom, multiFunction, gpuDirectClique, msixRelocation, msiVectors, msixVectors);
  facts.push(hide?.length, expose?.length, excludeFromMapping?.length, configMirrors?.length);
  if (hide) facts.push(...hide);
  if (expose) facts.push(...expose);
  if (excludeFromMapping) facts.push(...excludeFromMapping);
  if (configMirrors) for (const { bar, offset, size } of configMirrors) facts.push(bar, offset, size);
  for (const { index, size, readable, writable, mappable, msixMappable, sparse } of backend.regions) {
    facts.push(size);
    if (size === 0) continue;
    facts.push(index, readable, writable, mappable, msixMappable, sparse?.length);
    if (sparse) for (const area of sparse) facts.push(area.offset, area.size);
  }
  return facts;
}
