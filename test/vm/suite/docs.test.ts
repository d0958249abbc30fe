// machines: (intel)
// takes: 25 s
// The snippets of the pages on this host's devices, run where there are such devices.
import { expect } from "bun:test";
import { opensDevice } from "../../project/markdown.ts";
import { hasIommu, take } from "./support/devices.ts";
import { testProgram, testSnippets } from "./support/snippets.ts";

const prepare = () => expect([take("edu"), take("nvme")]).toEqual(["0000:01:00.0", "0000:02:00.0"]);

// The pages are about devices behind an IOMMU; the machine is started without one for the sake of noiommu alone.
if (hasIommu) {
  testSnippets("README.md", 1, prepare, opensDevice);
  testSnippets("docs/kernel-devices.md", 3, prepare);
  testSnippets("docs/dma.md", 3, prepare);
  testProgram("docs/driver-authors.md", 4, prepare);
}
