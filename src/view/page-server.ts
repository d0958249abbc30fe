// Serves one page to this machine alone, at an address that nobody guesses. A page of another site can send requests to a
// loopback port, but knows no token, and a name that was made to lead here is no Host of this server.
import { randomBytes, timingSafeEqual } from "node:crypto";
import { messageOf } from "../regs/message-of.ts";

/** A page that is made anew for each request. */
export interface ServedPage {
  readonly html: string;
  readonly policy: string;
}

export interface PageServer extends AsyncDisposable {
  /** To open in a browser. */
  readonly url: string;
}

const tokenBytes = 32;
const common = {
  "Cache-Control": "no-store",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/**
 * Listens on 127.0.0.1. Disposing of it ends that.
 * @param make the page as it is now; what it throws is told with status 500
 * @param port 0: any that is free
 * @throws the error of listen(2)
 */
export function servePage(make: () => Promise<ServedPage>, port = 0): PageServer {
  const token = randomBytes(tokenBytes).toString("base64url");
  const path = `/${token}/`;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    // A page of a large recording takes a while.
    idleTimeout: 120,
    async fetch(request) {
      const { status, headers = {}, text } = await answer(request, path, server.port!, make);
      return new Response(request.method === "HEAD" ? null : text, {
        status,
        headers: { "Content-Type": "text/plain; charset=utf-8", ...common, ...headers },
      });
    },
    error: () => new Response("the page cannot be served", { status: 500, headers: common }),
  });
  return {
    url: `http://127.0.0.1:${server.port}${path}`,
    [Symbol.asyncDispose]: async () => await server.stop(true),
  };
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly text: string;
}

async function answer(
  request: Request,
  path: string,
  port: number,
  make: () => Promise<ServedPage>,
): Promise<Answer> {
  const host = request.headers.get("host");
  if (host !== `127.0.0.1:${port}` && host !== `localhost:${port}`)
    return { status: 421, text: "this server is of another name\n" };
  if (request.method !== "GET" && request.method !== "HEAD")
    return { status: 405, headers: { Allow: "GET, HEAD" }, text: "a page is read, and nothing else\n" };
  if (!isSame(new URL(request.url).pathname, path)) return { status: 404, text: "there is no such page\n" };
  try {
    const { html, policy } = await make();
    return {
      status: 200,
      headers: {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": `${policy}; frame-ancestors 'none'`,
      },
      text: html,
    };
  } catch (error) {
    return { status: 500, text: `${messageOf(error)}\n` };
  }
}

/** Takes as long whatever differs, so that a token is not guessed letter by letter. */
function isSame(given: string, wanted: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}
