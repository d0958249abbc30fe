// Debian's chromium, driven as a person would. One line says when it is not there; where everything is to be proved, that fails.
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";

const executablePath = Bun.which("chromium");
/** Whether the tests of this file are left out: chromium is not installed, and need not be. */
export const absent = executablePath === null && process.env["CI"] !== "true";
/** Behind the title of a test that needs it. */
export const needed = absent ? " (skipped: chromium is not installed)" : "";

/** @throws Error where chromium is not installed, or does not start */
export async function openBrowser(): Promise<Browser> {
  if (executablePath === null) throw new Error("chromium is not installed: apt-get install chromium");
  // Root, as containers and this project's own checks have it, cannot use chromium's sandbox.
  const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({ executablePath, args });
}

/** A page that was opened from disk, and what it did besides. */
export interface OpenedPage extends AsyncDisposable {
  readonly page: Page;
  /** Addresses that it asked for, its own apart. */
  readonly requests: readonly string[];
  /** What its console said, and errors that nobody caught. */
  readonly said: readonly string[];
}

/** @param path a file @param options of playwright, as the colour scheme */
export async function openPage(
  browser: Browser,
  path: string,
  options: BrowserContextOptions = {},
): Promise<OpenedPage> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, ...options });
  const page = await context.newPage();
  const url = path.startsWith("http:") ? path : `file://${path}`;
  const requests: string[] = [];
  const said: string[] = [];
  page.on("request", (request) => request.url() !== url && requests.push(request.url()));
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  page.on("dialog", (dialog) => void (said.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
  await page.goto(url);
  await page.waitForSelector("html[data-ready]");
  return { page, requests, said, [Symbol.asyncDispose]: () => context.close() };
}
