// machines: (vmm)
// takes: 100 s
// Devices of a vfio-user server in a guest that the example VMM boots: no IOMMU, no VFIO, nothing of the host's.
import "./support/devices.ts";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RecordedDevice } from "bun-vfio";
import { readImage } from "bun-vfio/image";
import { connectDevice, serveDevice } from "bun-vfio/vfio-user";
import { guestCommands, pageFiles } from "../../project/devices-page.ts";
import { boot, makeInitramfs } from "./support/nested-linux.ts";
import { Sandbox } from "../../support/sandbox.ts";

const images = join(import.meta.dir, "../../../images");

test("registers, DMA by descriptor and a recording's config space are the guest's", async () => {
  using box = new Sandbox();
  const own = join(box.path, "own.sock");
  const recorded = join(box.path, "recorded.sock");
  await using device = serveDevice(new URL("../../support/socket-device.ts", import.meta.url), {
    socket: own,
  });
  const image = readImage(readFileSync(join(images, "xhci.json"), "utf8"));
  await using recording = serveDevice(new RecordedDevice(image), { socket: recorded });
  await Promise.all([device.ready, recording.ready]);
  const initramfs = makeInitramfs(
    `
      own=/sys/bus/pci/devices/0000:00:01.0
      echo "own $(cat $own/vendor) $(cat $own/device)"
      echo 1 >$own/enable
      bar=$(head -1 $own/resource | cut -d' ' -f1)
      echo "id $(devmem $bar 32)"
      devmem $((bar + 4)) 32 0x12345678
      echo "complement $(devmem $((bar + 4)) 32)"
      devmem 0x7000 32 0xCAFEF00D
      devmem $((bar + 8)) 32 0x7000
      devmem $((bar + 0xc)) 32 0
      devmem $((bar + 0x10)) 32 4
      devmem $((bar + 0x14)) 32 1
      echo "read $(devmem $((bar + 0x18)) 32) $(devmem $((bar + 0x800)) 32)"
      devmem $((bar + 0x800)) 32 0x600DCAFE
      devmem $((bar + 0x14)) 32 2
      echo "written $(devmem $((bar + 0x18)) 32) $(devmem 0x7000 32)"
      recorded=/sys/bus/pci/devices/0000:00:02.0
      echo "recorded $(cat $recorded/vendor) $(cat $recorded/device) $(cat $recorded/class)"
    `,
    [],
  );
  const options = [own, recorded].flatMap((path) => ["--device", `vfio-user:${path}`]);
  using vmm = boot(initramfs, ...options);
  const { status, output, said } = await vmm.end();
  expect({ status, said }).toEqual({ status: 0, said: "" });
  expect(output).toContain("own 0x1234 0xbeef\n");
  expect(output).toContain("id 0xBEEF0001\n");
  expect(output).toContain("complement 0xEDCBA987\n");
  expect(output).toContain("read 0x00000000 0xCAFEF00D\n");
  expect(output).toContain("written 0x00000000 0x600DCAFE\n");
  const config = new DataView(image.config.buffer, image.config.byteOffset);
  const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;
  const identity = [hex(config.getUint16(0, true), 4), hex(config.getUint16(2, true), 4)];
  expect(output).toContain(`recorded ${identity.join(" ")} ${hex(config.getUint32(8, true) >>> 8, 6)}\n`);
});

test("a page's device does in a guest what the page says; its server is killed: all ones, one event", async () => {
  using box = new Sandbox();
  box.linkSources();
  for (const [name, { code }] of Object.entries(pageFiles)) box.write(name, code);
  const socket = join(box.path, "summer.sock");
  const server = Bun.spawn([process.execPath, "serve.ts", socket], {
    cwd: box.path,
    stdout: "pipe",
    stderr: "inherit",
  });
  await server.stdout.getReader().read();
  // An emulated processor takes its time to compile what answers first; the VMM gives it a second.
  connectDevice(socket, { timeout: 60_000, keepAlive: true })[Symbol.dispose]();
  const initramfs = makeInitramfs(`
    ${guestCommands}
    echo "last"
    until [ "$(devmem $bar 32)" = 0xFFFFFFFF ]; do sleep 0.1; done
    echo "gone $(devmem $((bar + 0x18)) 32)"
  `);
  using vmm = boot(initramfs, "--device", `vfio-user:${socket}`);
  await vmm.hear("last");
  server.kill("SIGKILL");
  await server.exited;
  const { status, output, said } = await vmm.end();
  expect(status).toBe(0);
  expect(output).toContain("\n0x0000000A\nlast\n");
  expect(output).toContain("gone 0xFFFFFFFF\n");
  expect(said.match(/device-gone|access-failed/g)).toEqual(["device-gone"]);
});
