// machines: (vfio-user, vfio-user-pt)
// takes: 90 s
// Devices of vfio-user servers on the host, whose client is QEMU: Linux's own drivers have them. What QEMU it is, the harness tells.
import { createHash } from "node:crypto";
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readImage } from "bun-vfio/image";
import { diffConfig } from "bun-vfio/regs";
import { bindTo, driverOf, find, sysDevices } from "./support/devices.ts";

const patience = 30_000;
const run = (command: string): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["sh", "-c", command]);
  if (exitCode !== 0) throw new Error(`${command}: ${exitCode}: ${stdout.toString()}${stderr.toString()}`);
  return stdout.toString().trim();
};
async function until<T>(what: string, find: () => T | undefined | false): Promise<T> {
  for (const end = performance.now() + patience; ; await Bun.sleep(50)) {
    const found = find();
    if (found) return found;
    if (performance.now() > end) throw new Error(`in vain for ${patience} ms: ${what}`);
  }
}
const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const complaints = (): string[] =>
  run("dmesg")
    .split("\n")
    .filter((line) => /I\/O error|EXT4-fs error|timeout|Abort|controller is down|DMAR.*fault/i.test(line));

let controller: string;
const disk = (): string => `/dev/${controller}n1`;
/** The host's file of the disk, which is shared with this guest. */
const file = "/out/disk-nvme.img";

/** Waits for the kernel's driver to have the disk. */
async function ready(): Promise<void> {
  const bdf = find("nvme");
  controller = await until("the disk", () => {
    const folder = `${sysDevices}/${bdf}/nvme`;
    const name = existsSync(folder) ? readdirSync(folder)[0] : undefined;
    return name !== undefined && existsSync(`/dev/${name}n1`) && name;
  });
}

beforeAll(async () => {
  run("modprobe nvme && modprobe crc32c_generic && modprobe ext4");
  bindTo(find("nvme"), "nvme");
  await ready();
});
afterAll(() => {
  bindTo(find("nvme"), undefined);
  // No client was refused, no device failed.
  const events = readFileSync("/out/served.log", "utf8");
  expect(events).not.toMatch(/"device-failed"|"client-refused"/);
});

test("8250_pci has the serial port: what is written arrives on the host, and what the host says arrives here", async () => {
  const bdf = readdirSync(sysDevices).find(
    (one) =>
      readFileSync(`${sysDevices}/${one}/device`, "utf8").trim() === "0x0002" && !one.startsWith("0000:00:"),
  )!;
  const ttys = "/sys/class/tty";
  const tty = await until("its tty", () =>
    readdirSync(ttys).find((name) => realpathSync(`${ttys}/${name}`).includes(`/${bdf}/`)),
  );
  expect(driverOf(bdf)).toBe("serial");
  run(`stty -F /dev/${tty} raw -echo 115200`);
  const words = "Is anybody there? 0123456789\n";
  // Open from before it is written to until all was read: with its last close a tty forgets what it has heard.
  const line = openSync(`/dev/${tty}`, constants.O_RDWR | constants.O_NOCTTY);
  const heard = Bun.spawn(["timeout", "30", "head", "-c", String(words.length)], {
    stdin: line,
    stdout: "pipe",
  });
  writeSync(line, words);
  expect(await new Response(heard.stdout).text()).toBe(words);
  closeSync(line);
  expect(readFileSync("/out/uart.txt", "utf8")).toEndWith(words);
});

test("lspci shows of a recording what was recorded, but for what the guest itself sets", () => {
  const bdf = find("xhci");
  const image = readImage(readFileSync("/src/images/xhci.json", "utf8"));
  const lines = run(`lspci -xxxx -s ${bdf}`).split("\n").slice(1);
  const config = Uint8Array.fromHex(
    lines.map((line) => line.slice(line.indexOf(":") + 1).replaceAll(" ", "")).join(""),
  );
  expect(config.length).toBe(image.config.length);
  const changed = diffConfig(image.config, config).map((one) =>
    one.kind === "field" ? `${one.where} ${one.register}` : JSON.stringify(one),
  );
  expect(changed.filter((one) => !/^header (?:command|bar\d)$|^MSI-X @0x90 control$/.test(one))).toEqual([]);
});

test("the nvme driver binds, each of its queues has its interrupt; a file system holds its files, and the host's file has them", async () => {
  expect(readFileSync(`/sys/class/nvme/${controller}/serial`, "utf8").trim()).toBe("BUNVFIO0");
  // The queue for administration, and one for each CPU.
  expect(readFileSync(`/sys/class/nvme/${controller}/queue_count`, "utf8").trim()).toBe("3");
  run(`mke2fs -F ${disk()} && mkdir -p /mnt && mount -t ext4 ${disk()} /mnt`);
  const sums = new Map<string, string>();
  for (let n = 0; n < 8; n++) {
    const bytes = crypto.getRandomValues(new Uint8Array(65536 * (n + 1)));
    writeFileSync(`/mnt/${n}`, bytes);
    sums.set(`/mnt/${n}`, hashOf(bytes));
  }
  run("sync; umount /mnt; echo 3 >/proc/sys/vm/drop_caches");
  run(`mount -t ext4 ${disk()} /mnt`);
  for (const [path, sum] of sums) expect([path, hashOf(readFileSync(path))]).toEqual([path, sum]);
  run("umount /mnt; sync");
  run(`dd if=${disk()} of=/run/copy bs=1M iflag=direct`);
  expect(hashOf(readFileSync("/run/copy"))).toBe(hashOf(readFileSync(file)));
  const lines = readFileSync("/proc/interrupts", "utf8")
    .split("\n")
    .filter((line) => line.includes(controller));
  const counts = lines.map((line) =>
    [...line.matchAll(/ (\d+)(?= )/g)].reduce((sum, [, count]) => sum + Number(count), 0),
  );
  expect([lines.length, counts.every((count) => count > 0)]).toEqual([3, true]);
  expect(complaints()).toEqual([]);
});

test("resets of the controller and of the function in the middle of writing lose nothing", async () => {
  for (const [n, reset] of [
    `/sys/class/nvme/${controller}/reset_controller`,
    `${sysDevices}/${find("nvme")}/reset`,
  ].entries()) {
    const bytes = crypto.getRandomValues(new Uint8Array(4 * 2 ** 20));
    writeFileSync("/run/data", bytes);
    const at = 4 * n;
    const writing = Bun.spawn(
      ["dd", "if=/run/data", `of=${disk()}`, "bs=16k", `seek=${at * 64}`, "oflag=direct"],
      { stderr: "ignore" },
    );
    await Bun.sleep(30);
    writeFileSync(reset, "1");
    expect(await writing.exited).toBe(0);
    await ready();
    run(`dd if=${disk()} of=/run/copy bs=1M skip=${at} count=4 iflag=direct`);
    expect([n, hashOf(readFileSync("/run/copy"))]).toEqual([n, hashOf(bytes)]);
  }
  expect(complaints()).toEqual([]);
});
