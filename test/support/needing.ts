import { test } from "bun:test";

/**
 * A test that needs something of the host. Without it the test says so in one line, and fails where `CI=true`: what is
 * skipped there in silence is believed to pass.
 * @param missing why it cannot run here; undefined where it can
 * @param timeout in milliseconds
 */
export function testNeeding(
  missing: string | undefined,
  name: string,
  body: () => void | Promise<void>,
  timeout: number,
): void {
  if (missing === undefined || process.env["CI"] === "true")
    test(
      name,
      () => {
        if (missing !== undefined) throw new Error(missing);
        return body();
      },
      timeout,
    );
  else {
    console.warn(`skipped: ${name}: ${missing}`);
    test.skip(name, () => {});
  }
}
