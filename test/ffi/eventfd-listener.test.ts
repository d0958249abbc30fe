import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Eventfd, EventfdListener, eventfdEvents } from "../../src/ffi/index.ts";
import { systemCalls } from "../../src/ffi/system-calls.ts";

const opened: Disposable[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one[Symbol.dispose]();
});
function made<T extends Disposable>(one: T): T {
  opened.push(one);
  return one;
}
const descriptors = (): string[] =>
  readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)].filter((target) => target.startsWith("anon_inode:[event"));
    } catch {
      return [];
    }
  });
/** Turns of the event loop until something holds; the test's own limit ends what never does. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(1);
}

describe.each(["stream", "worker"] as const)("events on the event loop, by way of the %s", (via) => {
  test("of a nonblocking eventfd arrive with their number", async () => {
    const eventfd = made(new Eventfd());
    const counts: number[] = [];
    const listener = made(new EventfdListener(eventfd.fd, (count) => counts.push(count), { via }));
    expect(listener.via).toBe(via);
    eventfd.signal(3);
    await until(() => counts.length === 1);
    eventfd.signal();
    eventfd.signal(4);
    await until(() => counts.reduce((sum, count) => sum + count, 0) === 8);
    expect([counts[0], eventfd.drain()]).toEqual([3, 0]);
  });

  test("which came before the listener, and while nobody turned the loop, arrive as one", async () => {
    const eventfd = made(new Eventfd());
    eventfd.signal(2 ** 33);
    const counts: number[] = [];
    made(new EventfdListener(eventfd.fd, (count) => counts.push(count), { via }));
    await until(() => counts.length === 1);
    for (let i = 0; i < 1000; i++) eventfd.signal();
    await until(() => counts.length > 1 && counts.reduce((sum, count) => sum + count, 0) === 2 ** 33 + 1000);
    expect(counts[0]).toBe(2 ** 33);
  });

  test("of 100 eventfds each arrive where they belong, a thousand in all", async () => {
    const eventfds = Array.from({ length: 100 }, () => made(new Eventfd()));
    const counts = eventfds.map(() => 0);
    for (const [i, eventfd] of eventfds.entries())
      made(new EventfdListener(eventfd.fd, (count) => (counts[i]! += count), { via }));
    for (let round = 1; round <= 10; round++) {
      for (const [i, eventfd] of eventfds.entries()) eventfd.signal(i + 1);
      await until(() => counts.every((count, i) => count >= round * (i + 1)));
      expect(counts).toEqual(eventfds.map((_, i) => round * (i + 1)));
    }
  });

  test("arrive after the owner has closed the eventfd", async () => {
    const eventfd = new Eventfd();
    const other = made(new Eventfd(eventfd.fd));
    const counts: number[] = [];
    made(new EventfdListener(eventfd.fd, (count) => counts.push(count), { via }));
    eventfd[Symbol.dispose]();
    other.signal(5);
    await until(() => counts.length === 1);
    expect(counts).toEqual([5]);
  });

  test("do not arrive after dispose, and wait in the eventfd", async () => {
    const eventfd = made(new Eventfd());
    const watched = made(new Eventfd());
    const counts: number[] = [];
    const listener = new EventfdListener(eventfd.fd, (count) => counts.push(count), { via });
    let later = 0;
    made(new EventfdListener(watched.fd, () => later++, { via }));
    eventfd.signal();
    await until(() => counts.length === 1);
    listener[Symbol.dispose]();
    listener[Symbol.dispose]();
    eventfd.signal(2);
    watched.signal();
    await until(() => later === 1);
    expect([counts, eventfd.drain()]).toEqual([[1], 2]);
  });

  test("a listener that disposes of itself in the callback is not called again", async () => {
    const eventfd = made(new Eventfd());
    let calls = 0;
    const listener: EventfdListener = new EventfdListener(
      eventfd.fd,
      () => {
        calls++;
        listener[Symbol.dispose]();
        eventfd.signal(7);
      },
      { via },
    );
    eventfd.signal();
    await until(() => calls === 1);
    await Bun.sleep(5);
    expect([calls, eventfd.drain()]).toEqual([1, 7]);
  });

  test("are values of an async iterator, which closes what it opened", async () => {
    const eventfd = made(new Eventfd());
    const before = descriptors().length;
    const counts: number[] = [];
    eventfd.signal(4);
    for await (const count of eventfdEvents(eventfd.fd, { via })) {
      counts.push(count);
      if (counts.length === 3) break;
      eventfd.signal(counts.length);
    }
    expect(counts).toEqual([4, 1, 2]);
    await until(() => descriptors().length <= before);
  });

  test("cost nothing once all is disposed of, a hundred times over", async () => {
    const eventfd = made(new Eventfd());
    const round = async (isAwaited: boolean): Promise<void> => {
      let count = 0;
      const listener = new EventfdListener(eventfd.fd, () => count++, { via });
      if (isAwaited) {
        eventfd.signal();
        await until(() => count === 1);
      }
      listener[Symbol.dispose]();
    };
    await round(true);
    await Bun.sleep(20);
    const before = descriptors().length;
    // One that goes on keeps the thread: starting it is not what is counted.
    using _ = new EventfdListener(made(new Eventfd()).fd, () => {}, { via });
    for (let i = 0; i < 100; i++) await round(i % 2 === 0);
    _[Symbol.dispose]();
    opened.pop()![Symbol.dispose]();
    await until(() => descriptors().length <= before);
    expect(descriptors().length).toBeLessThanOrEqual(before);
  });
});

test("a hundred listeners by way of the worker, one after the other, have one thread, and none in the end", async () => {
  const threads = (): number => readdirSync("/proc/self/task").length;
  const eventfd = made(new Eventfd());
  const listen = (): EventfdListener => new EventfdListener(eventfd.fd, () => {}, { via: "worker" });
  listen()[Symbol.dispose]();
  const before = { threads: threads(), descriptors: descriptors().length };
  for (let i = 0; i < 100; i++) listen()[Symbol.dispose]();
  // The engine may begin a helper thread of its own meanwhile.
  expect(threads()).toBeLessThan(before.threads + 10);
  expect(descriptors().length).toBe(before.descriptors);
  await until(() => descriptors().length < before.descriptors);
});

describe("a stream that ends outside of any microtask", () => {
  let ended: EventfdListener | undefined;
  // A test that is not asynchronous: what follows it runs with nothing on the stack, and ending the stream settles its read.
  test("is ended", () => {
    ended = made(new EventfdListener(made(new Eventfd()).fd, () => {}));
    expect(ended.via).toBe("stream");
  });
  test("does not take that for a failure, and no thread goes on with it", async () => {
    await Bun.sleep(5);
    expect(ended!.via).toBe("stream");
  });
});

describe("a listener", () => {
  test("of what is closed, or blocks, is refused and keeps nothing", () => {
    const before = descriptors().length;
    expect(() => new EventfdListener(999_999, () => {})).toThrow("EBADF");
    const blocking = systemCalls().eventfd2(0, 0);
    expect(() => new EventfdListener(blocking, () => {})).toThrow("the eventfd blocks");
    systemCalls().close(blocking);
    const eventfd = made(new Eventfd());
    expect(() => new EventfdListener(eventfd.fd, () => {}, { via: "stream", keepAlive: false })).toThrow(
      RangeError,
    );
    expect(descriptors().length).toBe(before + 1);
  });

  /** Runs a program that imports this library. */
  const run = (program: string): { code: number | null; output: string } => {
    const imports = `import { Eventfd, EventfdListener } from ${JSON.stringify(join(import.meta.dir, "../../src/ffi/index.ts"))};\n`;
    const done = Bun.spawnSync([process.execPath, "-e", imports + program], {
      stdout: "pipe",
      stderr: "pipe",
      timeout: 20_000,
    });
    return { code: done.exitCode, output: done.stdout.toString() + done.stderr.toString() };
  };

  test.each(["stream", "worker"])(
    "by way of the %s keeps the process alive until it is disposed of",
    (via) => {
      const program = `
      const eventfd = new Eventfd();
      const listener = new EventfdListener(eventfd.fd, (count) => {
        console.log(count);
        listener[Symbol.dispose]();
      }, { via: "${via}" });
      setTimeout(() => eventfd.signal(6), 50).unref();
      setTimeout(() => {}, 100);
    `;
      expect(run(program)).toEqual({ code: 0, output: "6\n" });
    },
  );

  test("that does not keep the process alive lets it end", () => {
    const program = `
      const eventfd = new Eventfd();
      let came = false;
      const { via } = new EventfdListener(eventfd.fd, (count) => (came = true, console.log(count)), { keepAlive: false });
      eventfd.signal(2);
      const timer = setInterval(() => came && (clearInterval(timer), console.log(via)), 1);
    `;
    expect(run(program)).toEqual({ code: 0, output: "2\nworker\n" });
  });

  test.each(["stream", "worker"])(
    "whose callback throws goes on, and the exception is uncaught: %s",
    (via) => {
      const program = `
      process.on("uncaughtException", (error) => console.log("uncaught", error.message));
      const eventfd = new Eventfd();
      let calls = 0;
      const listener = new EventfdListener(eventfd.fd, (count) => {
        if (calls++ === 0) {
          setTimeout(() => eventfd.signal(9), 1);
          throw new Error("mine");
        }
        console.log(count);
        listener[Symbol.dispose]();
      }, { via: "${via}" });
      eventfd.signal();
    `;
      expect(run(program)).toEqual({ code: 0, output: "uncaught mine\n9\n" });
    },
  );

  test("goes over to the worker where a stream fails, and loses nothing", () => {
    const program = `
      const { file } = Bun;
      Bun.file = (...args) => {
        Bun.file = file;
        return { stream: () => new ReadableStream({ start: (controller) => controller.error(new Error("no stream")) }) };
      };
      const eventfd = new Eventfd();
      const listener = new EventfdListener(eventfd.fd, (count) => {
        console.log(listener.via, count);
        listener[Symbol.dispose]();
      });
      eventfd.signal(3);
    `;
    expect(run(program)).toEqual({ code: 0, output: "worker 3\n" });
  });
});
