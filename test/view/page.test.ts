// Pages in a browser: what a person finds in them, with mouse and keyboard; that nothing leaves them; that all can use them.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import axe from "axe-core";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { deviceJson, deviceAt, deviceSize, header } from "../../src/device/replay/flight-format.ts";
import { readFlight } from "../../src/device/replay/read-flight.ts";
import { bunVfio, root } from "../cli/run.ts";
import { busy } from "../cli/on-machine.ts";
import { Machine } from "../support/host-machine.ts";
import { absent, needed, openBrowser, openPage } from "./browser.ts";
import { addresses, recordFlight, markup } from "./recorded-flight.ts";

setDefaultTimeout(60_000);

let folder: string;
let browser: Browser | undefined;
const at = (name: string): string => join(folder, name);

/** Makes a page as a person does. @returns its path */
function pageOf(name: string, words: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { code, err } = bunVfio(["view", ...words, "-o", at(name)], { env });
  expect({ code, err }).toEqual({ code: 0, err: "" });
  return at(name);
}

beforeAll(async () => {
  if (absent) return;
  folder = mkdtempSync(join(tmpdir(), "view-page-"));
  recordFlight(at("card.flight"));
  pageOf("flight.html", [at("card.flight")]);
  pageOf("two.html", ["images/nvme.json", "images/igb.json"]);
  using machine = new Machine();
  busy(machine);
  machine.bind("0000:00:1f.3", "vfio-pci");
  pageOf("host.html", ["host"], { BUN_VFIO_ROOT: machine.root });
  browser = await openBrowser();
}, 120_000);
afterAll(async () => {
  await browser?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

const open = (name: string, options?: BrowserContextOptions) => openPage(browser!, at(name), options);

/** Clicks of a person, counted. */
class Clicks {
  count = 0;
  readonly #page: Page;
  constructor(page: Page) {
    this.#page = page;
  }
  async on(role: "button" | "treeitem" | "gridcell", name: string | RegExp): Promise<void> {
    this.count++;
    const found = this.#page.getByRole(role, { name });
    // Of a tree's item, its own line, and not those behind it.
    await (role === "treeitem" ? found.locator("> .node") : found).first().click();
  }
}
const within = 6;

describe.skipIf(absent)(`in a browser${needed}`, () => {
  test("why did BAR2 not map: the refusal stands beside it, and leads to where it happened", async () => {
    await using opened = await open("flight.html");
    const { page } = opened;
    const row = page.locator("#addresses tr", { has: page.locator("th", { hasText: /^BAR2$/ }) });
    await expect_(row).toContain(`BAR2 0x0+0x100000 gets no memory slot and stays trapped: ${markup}`);
    const clicks = new Clicks(page);
    await clicks.on("button", /BAR2 .* gets no memory slot/);
    await settled(page);
    await expect_(page.locator(".entries [aria-current]")).toContain("event area-trapped: BAR2");
    await expect_(page.locator(".entries")).toContain(`failed slotAdd: ${markup}`);
    // Another way: what went wrong at all.
    await clicks.on("button", "Problems");
    await expect_(page.locator("#recording table")).toContain("BAR2 0x0+0x100000 gets no memory slot");
    expect(clicks.count).toBeLessThanOrEqual(within);
  });

  test("which access was slowest: told at the top, and first of a list", async () => {
    await using opened = await open("flight.html");
    const { page } = opened;
    const clicks = new Clicks(page);
    await clicks.on("button", "Slowest first");
    await settled(page);
    const first = page.locator("#recording tbody tr").first();
    const took = await first.locator("td").nth(1).textContent();
    const what = await first.locator("td").nth(2).textContent();
    await expect_(page.locator("#recording dl")).toContain(`${took}: ${what}`);
    await clicks.on("button", /^entry \d+$/);
    await settled(page);
    await expect_(page.locator("#recording h3").first()).toContain(`its access took ${took}`);
    expect(clicks.count).toBeLessThanOrEqual(within);
  });

  test("who blocks a group: its device, and its group, both say so", async () => {
    await using opened = await open("host.html");
    const { page } = opened;
    const clicks = new Clicks(page);
    await clicks.on("treeitem", /^0000:00:1f\.3 /);
    await expect_(page.locator("#host [aria-live]")).toContain("✗ blocked by 0000:00:1f.2 (ahci)");
    await clicks.on("button", "Group 10");
    const blocker = page.locator("#host [aria-live] tr", { hasText: "✗ blocks" });
    await expect_(blocker).toContain("0000:00:1f.2");
    expect(await blocker.count()).toBe(1);
    expect(clicks.count).toBeLessThanOrEqual(within);
  });

  test("a byte shows its register, by mouse and by keyboard", async () => {
    await using opened = await open("two.html");
    const { page } = opened;
    const cells = page.getByRole("grid", { name: "Config space of 0000:02:00.0" });
    await cells.locator("td[data-at='66']").click();
    await expect_(page.locator(".registers")).toContain("MSI-X.control of 0000:02:00.0");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    await expect_(page.locator(".registers")).toContain("MSI-X.table of 0000:02:00.0");
    expect(await page.evaluate(focused)).toBe("68");
    await page.keyboard.press("Home");
    expect(await page.evaluate(focused)).toBe("64");
  });

  test("two devices stand beside each other, with what differs", async () => {
    await using opened = await open("two.html");
    const { page } = opened;
    expect(await page.getByRole("grid").count()).toBe(2);
    await expect_(page.locator("#differences")).toContain("SR-IOV @0x160");
    await page.getByLabel("Beside it").selectOption("none");
    expect(await page.getByRole("grid").count()).toBe(1);
  });

  test("the time line is scrubbed by keyboard and mouse, and all of the page follows", async () => {
    await using opened = await open("flight.html");
    const { page } = opened;
    const line = page.getByRole("slider");
    const value = async (): Promise<number> => Number(await line.getAttribute("aria-valuenow"));
    const last = await value();
    await line.focus();
    await page.keyboard.press("ArrowLeft");
    await settled(page);
    expect(await value()).toBe(last - 1);
    await page.keyboard.press("Home");
    await settled(page);
    expect(await value()).toBe(0);
    await expect_(page.locator("#addresses")).toContain("decodes nothing");
    await expect_(page.locator(".registers")).toContain("Value0x0000");
    await page.keyboard.press("End");
    await settled(page);
    expect(await value()).toBe(last);
    await expect_(page.locator("#addresses")).toContain(`0x${addresses.after.toString(16)}`);
    await expect_(page.locator(".registers")).toContain("Value0x0002");
    await expect_(page.locator(".registers")).toContain("As it was written last");
    const box = (await line.boundingBox())!;
    await page.mouse.click(box.x + box.width / 2, box.y + 40);
    await settled(page);
    const middle = await value();
    expect(middle).toBeGreaterThan(last / 4);
    expect(middle).toBeLessThan((last * 3) / 4);
    expect(await line.getAttribute("aria-valuetext")).toMatch(/^[\d.]+ .?s: \S/);
    // Closer, a click leads to another place.
    await page.getByRole("button", { name: "Zoom in" }).click();
    await page.getByRole("button", { name: "Zoom in" }).click();
    await page.mouse.click(box.x + box.width - 5, box.y + 40);
    await settled(page);
    expect(await value()).toBeLessThan((last * 3) / 4);
  });

  test("a move shows the address before and after", async () => {
    await using opened = await open("flight.html");
    const { page } = opened;
    await page.getByRole("searchbox").fill("bus mmio 0xd8000000");
    await page.getByRole("button", { name: "Search" }).click();
    await expect_(page.getByRole("status")).toContain("1 of ");
    await page.getByRole("button", { name: /^entry \d+$/ }).click();
    await page.getByRole("button", { name: "Next access" }).click();
    await page.getByRole("button", { name: "Previous access" }).click();
    await page.getByRole("slider").focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowRight");
    await settled(page);
    await expect_(page.getByRole("heading", { name: "After it: moved" })).toContain("moved");
  });

  test("a search that finds nothing says so", async () => {
    await using opened = await open("flight.html");
    const { page } = opened;
    await page.getByRole("searchbox").fill("nothing of that name");
    await page.keyboard.press("Enter");
    await expect_(page.getByRole("status")).toContain("0 of ");
  });

  test.each(["flight.html", "two.html", "host.html"])(
    "%s asks for nothing, and has nothing to say",
    async (name) => {
      await using opened = await open(name);
      await opened.page.mouse.wheel(0, 5000);
      expect({ requests: opened.requests, said: opened.said }).toEqual({ requests: [], said: [] });
      expect(await opened.page.getAttribute("html", "data-ready")).toBe("true");
    },
  );

  test.each(["flight.html", "two.html", "host.html"])(
    "axe finds nothing serious in %s, light and dark",
    async (name) => {
      // axe is put into the page, which the page's own policy does not let anybody do.
      await using opened = await open(name, { colorScheme: "light", bypassCSP: true });
      const { page } = opened;
      await page.evaluate(axe.source);
      const check = async (runOnly: axe.RunOnly): Promise<void> => {
        const found = await page.evaluate(
          (wanted) =>
            (globalThis as unknown as { axe: typeof axe }).axe.run({
              runOnly: wanted,
              resultTypes: ["violations"],
            }),
          runOnly,
        );
        const serious = found.violations.filter(
          ({ impact }) => impact === "serious" || impact === "critical",
        );
        expect(serious.map(({ id, nodes }) => [id, nodes[0]?.html, nodes[0]?.failureSummary])).toEqual([]);
        expect(found.passes.length).toBeGreaterThan(0);
      };
      await check({
        type: "tag",
        values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
      });
      // All that differs in the dark are the colours.
      await page.emulateMedia({ colorScheme: "dark" });
      await check({ type: "rule", values: ["color-contrast"] });
    },
  );

  test("fits a narrow window: nothing but tables and grids scrolls sideways", async () => {
    await using opened = await open("flight.html", { viewport: { width: 360, height: 800 } });
    expect(await opened.page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
  });

  test("prints without what is of no use on paper", async () => {
    await using opened = await open("two.html");
    await opened.page.emulateMedia({ media: "print", colorScheme: "dark" });
    // Paper is white.
    expect(await opened.page.evaluate("getComputedStyle(document.body).backgroundColor")).toBe(
      "rgb(255, 255, 255)",
    );
    expect(await opened.page.locator("nav").isVisible()).toBe(false);
    expect(await opened.page.getByRole("button").first().isVisible()).toBe(false);
    expect(await opened.page.locator(".grid").first().isVisible()).toBe(true);
  });
});

describe.skipIf(absent)(`what is hostile is text${needed}`, () => {
  const name = `</script><script>document.title="ran"</script><img src=x onerror="document.title='ran'">\u202e`;

  test("a recording's device and texts", async () => {
    const bytes = Uint8Array.from(readFileSync(at("card.flight")));
    const { device } = readFlight(bytes, "card");
    const json = new TextEncoder().encode(deviceJson({ ...device!, name: name.slice(0, 256) }));
    expect(json.length).toBeLessThan(deviceSize);
    bytes.set(json, deviceAt);
    new DataView(bytes.buffer).setUint32(header.deviceSize, json.length, true);
    writeFileSync(at("hostile.flight"), bytes);
    pageOf("hostile.html", [at("hostile.flight")]);
    await using opened = await open("hostile.html");
    await shownAsText(opened.page, opened);
    await expect_(opened.page.locator(".entries, #recording")).toContain("");
    await expect_(opened.page.locator("#addresses")).toContain(markup);
  });

  test("a host's drivers, interfaces and what they are used for", async () => {
    using machine = new Machine();
    machine.network("0000:03:00.0", `<img src=x onerror=document.title='ran'>`);
    pageOf("hostile-host.html", ["host"], { BUN_VFIO_ROOT: machine.root });
    await using opened = await open("hostile-host.html");
    const { page, requests, said } = opened;
    await page
      .getByRole("treeitem", { name: /^0000:03:00\.0 / })
      .locator("> .node")
      .click();
    await expect_(page.locator("#host h3")).toContain(`<img src=x onerror=document.title='ran'>`);
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.title()).toBe("PCI devices of this host");
    expect({ requests, said }).toEqual({ requests: [], said: [] });
  });

  test("an image's notes, driver and file name", async () => {
    const image = JSON.parse(readFileSync(join(root, "images/edu.json"), "utf8")) as Record<string, object>;
    const hostile = { ...image, host: { ...image["host"], driver: name, notes: [name] } };
    const path = at(`"><img src=x>.json`);
    writeFileSync(path, JSON.stringify(hostile));
    pageOf("hostile-image.html", [path]);
    await using opened = await open("hostile-image.html");
    await shownAsText(opened.page, opened);
  });

  async function shownAsText(
    page: Page,
    { requests, said }: { requests: readonly string[]; said: readonly string[] },
  ) {
    expect(await page.title()).not.toBe("ran");
    await expect_(page.locator("#device")).toContain(`<img src=x onerror="document.title='ran'">\\u202e`);
    expect(await page.locator("img").count()).toBe(0);
    expect(await page.locator("script").count()).toBe(2);
    expect({ requests, said }).toEqual({ requests: [], said: [] });
  }

  test("markup that a script makes is refused by the policy", async () => {
    await using opened = await open("two.html");
    const refused = await opened.page.evaluate(
      `(() => { try { document.body.innerHTML = "<p>markup</p>"; return false; } catch { return true; } })()`,
    );
    expect(refused).toBe(true);
  });
});

/** The text of what is found, which may take until the next frame. */
const expect_ = (found: Locator) => ({
  toContain: async (text: string): Promise<void> => {
    const there = found.filter({ hasText: text }).first();
    await there.waitFor({ state: "attached", timeout: 10_000 }).catch(() => {});
    expect((await found.allTextContents()).join("\n")).toContain(text);
  },
});

/** What was pressed has been drawn: two frames later. */
const settled = (page: Page): Promise<unknown> =>
  page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))");

/** Which byte has the focus. */
const focused = `document.activeElement?.getAttribute("data-at")`;
