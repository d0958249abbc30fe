// Makes dist/view-page.json: the script and the style of the viewer's page, for programs of one file, which have no sources.
import { buildParts } from "../src/view/page-parts.ts";

await Bun.write("dist/view-page.json", JSON.stringify(await buildParts()));
