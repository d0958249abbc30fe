// An NVMe disk, driven from Bun. The controller is bound to vfio-pci (bun-vfio bind).
//   exit: 0 done, 1 it failed, 2 bad usage
import { VfioError } from "bun-vfio";
import { parseArgs } from "node:util";
import { Nvme } from "./nvme.ts";

const usage = `usage: bun examples/nvme/main.ts BDF identify | read LBA BLOCKS | write LBA | bench  [--api API]
  read writes to stdout, write reads from stdin, whole blocks; bench only reads
  API: auto, iommufd, group, iommufd-compat; noiommu where the kernel tells where memory is (Linux 7.3)`;
const apis = ["auto", "iommufd", "group", "iommufd-compat", "noiommu"] as const;

type Work = (nvme: Nvme) => Promise<unknown>;

function parse(): [bdf: string, api: (typeof apis)[number], work: Work] | undefined {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { api: { type: "string" } },
    });
    const [bdf = "", command, ...numbers] = positionals;
    const [lba = NaN, blocks = NaN] = numbers.map(Number);
    const api = apis.find((name) => name === (values.api ?? "auto"));
    const works: Record<string, [numbers: number, work: Work]> = {
      identify: [0, async ({ identify }) => console.log(JSON.stringify(identify, null, 2))],
      read: [2, async (nvme) => Bun.write(Bun.stdout, await nvme.read(lba, blocks))],
      write: [1, async (nvme) => nvme.write(lba, await Bun.stdin.bytes())],
      bench: [0, bench],
    };
    const [count, work] = works[command ?? ""] ?? [];
    if (api && work && count === numbers.length) return [bdf, api, work];
  } catch {
    // An option that there is not.
  }
  return undefined;
}

async function bench(nvme: Nvme): Promise<void> {
  const { blocks, blocksAtOnce, blockSize } = nvme.identify;
  const times: number[] = [];
  for (let n = 0; n < 1000; n++) {
    const begin = performance.now();
    await nvme.read(n % blocks, 1);
    times.push((performance.now() - begin) * 1000);
  }
  times.sort((a, b) => a - b);
  const at = (part: number): string => times[Math.floor(times.length * part)]!.toFixed(0);
  console.log(`one block, one command at a time: p50 ${at(0.5)} us, p99 ${at(0.99)} us`);
  const begin = performance.now();
  const some = Math.min(blocks, 64 * blocksAtOnce);
  for (let n = 0; n < 8; n++) await nvme.read(0, some);
  const seconds = (performance.now() - begin) / 1000;
  console.log(
    `${blocksAtOnce} blocks a command: ${((8 * some * blockSize) / seconds / 1e6).toFixed(0)} MB/s`,
  );
}

const asked = parse();
if (!asked) {
  console.error(usage);
  process.exit(2);
}
const [bdf, api, work] = asked;
try {
  using nvme = await Nvme.open(bdf, { api });
  await work(nvme);
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(`nvme: ${error.message}`);
  if (error instanceof VfioError && error.hint) console.error(error.hint);
  process.exitCode = 1;
}
