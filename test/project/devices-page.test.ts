// docs/devices-in-typescript.md as a reader follows it: the files are written into a folder, checked and run. What is typed in the
// guest is in test/vm/suite/vmm-socket.test.ts.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { Sandbox } from "../support/sandbox.ts";
import { root } from "../support/tree.ts";
import { guestCommands, hostCommands, pageFiles } from "./devices-page.ts";

setDefaultTimeout(120_000);

const box = new Sandbox();
const folder = "summer";
beforeAll(() => {
  box.link(root, `${folder}/node_modules/${manifest.name}`);
  for (const [name, { code }] of Object.entries(pageFiles)) box.write(`${folder}/${name}`, code);
  box.linkSources();
  box.write(`${folder}/tsconfig.json`, { extends: "../tsconfig.json", include: ["*.ts"] });
});
afterAll(() => box[Symbol.dispose]());

const run = (...args: string[]) => {
  const { code, stdout, stderr } = box.run([process.execPath, ...args], { cwd: folder });
  return { code, output: stdout + stderr };
};

test("the page has its files and its commands", () => {
  expect(Object.keys(pageFiles)).toEqual(["summer.ts", "try.ts", "guest.ts", "serve.ts", "drive.ts"]);
  expect(Object.values(pageFiles).map(({ values }) => values)).toEqual([0, 6, 4, 0, 2]);
  expect(hostCommands).toContain(`bun add ${manifest.name}\n`);
  expect(guestCommands.trim().split("\n").at(-1)).toStartWith("devmem");
});

test("its program has no type error", () => {
  expect(run("check", "--no-script", "-p", ".")).toEqual({
    code: 0,
    output: expect.stringContaining("No type errors"),
  });
});

test.each(["try.ts", "guest.ts"])("%s runs, and its values are true", (name) => {
  expect(run(name)).toEqual({ code: 0, output: "" });
});

test.each(["SIGINT", "SIGTERM"] as const)(
  "serve.ts serves the device until %s, and drive.ts drives it",
  async (signal) => {
    const server = Bun.spawn([process.execPath, "serve.ts", "s.sock"], {
      cwd: join(box.path, folder),
      stdout: "pipe",
      stderr: "pipe",
    });
    const reader = server.stdout.getReader();
    let said = "";
    while (!said.includes("summer at s.sock")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(await new Response(server.stderr).text());
      said += new TextDecoder().decode(value);
    }
    expect(run("drive.ts", "s.sock")).toEqual({ code: 0, output: "" });
    server.kill(signal);
    expect(await server.exited).toBe(0);
    for (let part = await reader.read(); !part.done; part = await reader.read())
      said += new TextDecoder().decode(part.value);
    expect(said).toContain("client-connected");
    expect(said).toContain("client-left");
  },
);
