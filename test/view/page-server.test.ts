// The server of a page: for this machine, for whoever has the token, under its own name.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { networkInterfaces } from "node:os";
import { servePage, type PageServer } from "../../src/view/page-server.ts";

let server: PageServer;
let fails = false;
let made = 0;
const policy = "default-src 'none'";
beforeAll(() => {
  server = servePage(() => {
    made++;
    return fails
      ? Promise.reject(new Error("the device is gone"))
      : Promise.resolve({ html: "<p>page</p>", policy });
  });
});
afterAll(() => server[Symbol.asyncDispose]());

/** Asks with the headers as given: fetch writes a Host of its own. */
async function ask(head: string): Promise<string> {
  const { port } = new URL(server.url);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let answer = "";
  const socket = connect(Number(port), "127.0.0.1", () =>
    socket.write(`${head}\r\nConnection: close\r\n\r\n`),
  );
  socket.on("data", (data) => (answer += String(data)));
  socket.on("end", () => resolve(answer));
  socket.on("error", reject);
  return promise;
}
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);

test("gives the page, with its policy, to be kept and framed by nobody", async () => {
  const answer = await fetch(server.url);
  expect([answer.status, await answer.text()]).toEqual([200, "<p>page</p>"]);
  const header = (name: string): string | null => answer.headers.get(name);
  expect(header("Content-Security-Policy")).toBe(`${policy}; frame-ancestors 'none'`);
  expect(header("Content-Type")).toBe("text/html; charset=utf-8");
  expect([header("Cache-Control"), header("X-Content-Type-Options"), header("Referrer-Policy")]).toEqual([
    "no-store",
    "nosniff",
    "no-referrer",
  ]);
  expect([header("Cross-Origin-Opener-Policy"), header("Cross-Origin-Resource-Policy")]).toEqual([
    "same-origin",
    "same-origin",
  ]);
});

test("its address has a token of 256 bits, another one each time", async () => {
  const token = /^http:\/\/127\.0\.0\.1:\d+\/([\w-]{43})\/$/;
  expect(server.url).toMatch(token);
  await using other = servePage(() => expect.unreachable());
  expect(token.exec(other.url)![1]).not.toBe(token.exec(server.url)![1]);
});

test("without the token there is nothing", async () => {
  const { origin, pathname } = new URL(server.url);
  for (const path of [
    "/",
    "/favicon.ico",
    pathname.slice(0, -1),
    `${pathname}x`,
    `/x${pathname}`,
    pathname.toUpperCase(),
  ]) {
    const before = made;
    const answer = await fetch(origin + path);
    expect([path, answer.status, made]).toEqual([path, 404, before]);
  }
});

test("a name that only leads here is refused, whoever knows the token", async () => {
  const { pathname, port } = new URL(server.url);
  for (const host of [
    "evil.example",
    `evil.example:${port}`,
    "127.0.0.1",
    "127.0.0.1:1",
    `127.0.0.1:${port}.evil.example`,
  ])
    expect([host, statusOf(await ask(`GET ${pathname} HTTP/1.1\r\nHost: ${host}`))]).toEqual([host, 421]);
  expect(statusOf(await ask(`GET ${pathname} HTTP/1.1\r\nHost: localhost:${port}`))).toBe(200);
  expect(statusOf(await ask(`GET ${pathname} HTTP/1.1`))).toBeGreaterThanOrEqual(400);
});

test("nothing but reading is done", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
    expect([method, (await fetch(server.url, { method })).status]).toEqual([method, 405]);
  const head = await fetch(server.url, { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test("a page that cannot be made is told as text", async () => {
  fails = true;
  const answer = await fetch(server.url);
  fails = false;
  expect([answer.status, answer.headers.get("Content-Type"), await answer.text()]).toEqual([
    500,
    "text/plain; charset=utf-8",
    "the device is gone\n",
  ]);
});

test("no other machine reaches it", async () => {
  const { port } = new URL(server.url);
  const others = Object.values(networkInterfaces()).flatMap((list) =>
    (list ?? [])
      .filter(({ family, internal }) => family === "IPv4" && !internal)
      .map(({ address }) => address),
  );
  for (const address of [...others, "127.0.0.2"]) {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect(Number(port), address, () => resolve("connected"));
    socket.on("error", ({ message }) => resolve(message));
    expect([address, await promise]).toEqual([address, expect.stringContaining("ECONNREFUSED")]);
    socket.destroy();
  }
});
