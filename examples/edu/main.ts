// QEMU's edu device, driven from Bun: registers, MSI, INTx, DMA. The device is bound to vfio-pci (bun-vfio bind).
//
//   bun examples/edu/main.ts BDF [--api auto|iommufd|group|iommufd-compat|noiommu]
//   exit: 0 it did all that it should, 1 it did not, 2 bad usage
import { VfioError, type OpenOptions } from "bun-vfio";
import { parseArgs } from "node:util";
import { demonstrate } from "./demonstration.ts";

const apis = ["auto", "iommufd", "group", "iommufd-compat", "noiommu"] as const;

function usage(): [bdf: string, options: OpenOptions] | undefined {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { api: { type: "string" } },
    });
    const api = apis.find((name) => name === (values.api ?? "auto"));
    if (positionals.length === 1 && api) return [positionals[0]!, { api }];
  } catch {
    // An option that there is not.
  }
  return undefined;
}

const asked = usage();
if (!asked) {
  console.error(`usage: bun examples/edu/main.ts BDF [--api ${apis.join("|")}]`);
  process.exit(2);
}
try {
  demonstrate(...asked, console.log);
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(`edu: ${error.message}`);
  if (error instanceof VfioError && error.hint) console.error(error.hint);
  process.exitCode = 1;
}
