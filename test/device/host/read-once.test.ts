import { expect, test } from "bun:test";
import { Sysroot } from "../../../src/device/host/sysroot.ts";
import { ReadOnce } from "../../../src/device/host/read-once.ts";
import { fakeHost } from "../backends/kernel/fake-host.ts";

const bdf = "0000:01:00.0";
const folder = `/sys/bus/pci/devices/${bdf}`;

/** A host that writes down what it is asked. */
class Asked extends Sysroot {
  readonly questions: string[] = [];

  override text(path: string, limit?: number): string | undefined {
    this.questions.push(`text ${path}`);
    return super.text(path, limit);
  }
  override list(path: string): string[] {
    this.questions.push(`list ${path}`);
    return super.list(path);
  }
  override target(path: string): string | undefined {
    this.questions.push(`target ${path}`);
    return super.target(path);
  }
  override exists(path: string): boolean {
    this.questions.push(`exists ${path}`);
    return super.exists(path);
  }
  override mayUse(path: string): boolean {
    this.questions.push(`mayUse ${path}`);
    return super.mayUse(path);
  }
}

test("each question is asked once, and answered as the host answers, absence too", () => {
  using fake = fakeHost();
  fake.device(bdf, { driver: "vfio-pci", group: 12, vfioDev: "vfio3" });
  const host = new Asked(fake.files.root);
  const seen = new ReadOnce(host);
  const ask = (files: Sysroot) => [
    files.text(`${folder}/class`),
    files.lines(`${folder}/class`),
    files.text(`${folder}/nothing`),
    files.list(`${folder}/vfio-dev`),
    files.linkName(`${folder}/driver`),
    files.target(`${folder}/driver`),
    files.exists(`${folder}/class`),
    files.exists(`${folder}/nothing`),
    files.mayUse("/dev/nothing"),
  ];
  const answers = ask(seen);
  expect(answers).toEqual(ask(fake.files));
  const { length } = host.questions;
  // The text whole and as lines differ in how much is read; the link is one question.
  expect(host.questions.filter((question) => question === `target ${folder}/driver`)).toHaveLength(1);
  expect(ask(seen)).toEqual(answers);
  expect(host.questions).toHaveLength(length);
});

test("what changes meanwhile is not seen by it, and is by a new one", () => {
  using fake = fakeHost();
  fake.device(bdf, { driver: "vfio-pci", classCode: "0x010802" });
  const seen = new ReadOnce(fake.files);
  expect(seen.text(`${folder}/class`)).toBe("0x010802");
  fake.file(`bus/pci/devices/${bdf}/class`, "0x020000\n");
  expect(seen.text(`${folder}/class`)).toBe("0x010802");
  expect(new ReadOnce(fake.files).text(`${folder}/class`)).toBe("0x020000");
});
