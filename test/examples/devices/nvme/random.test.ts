// Commands of a guest that means no good: each ends once with a status, nothing outside of its memory is touched, and a reset
// has everything as at the beginning.
import { expect, test } from "bun:test";
import { status } from "../../../../examples/devices/nvme/status.ts";
import { page } from "../../../support/nvme-driver.ts";
import { base, diskSize, local, memorySize } from "../../../support/nvme-ways.ts";
import { seededRandom } from "../../../support/random.ts";

const [admin, io] = [0, 1];
const [event, shadows] = [12, 0x7c];
const opcodes: readonly (readonly number[])[] = [
  [0, 1, 2, 4, 5, 6, 8, 9, 10, event, 0x0d, shadows, 0x80, 0xff],
  [0, 1, 2, 2, 2, 4, 8, 9, 0xff],
];
const known: ReadonlySet<number> = new Set(Object.values(status));

test.each([1, 2, 3, 4, 5])(
  "seed %d",
  async (seed) => {
    await using disk = local(true);
    const { driver } = disk;
    const { below, pick } = seededRandom(seed);
    const any = <T>(...values: readonly T[]): T => pick(values);
    await driver.enable();
    // Rings lie first; what commands say of memory is behind them, or nowhere.
    const data = base + memorySize / 2;
    const address = (): bigint => {
      const inside = data + below(memorySize / 2 / page) * page;
      return (
        BigInt(any(inside, inside, inside, inside + any(4, 2, 512, 4088), base + memorySize, 0)) +
        any(0n, 0n, 0n, 2n ** 63n, 2n ** 53n)
      );
    };
    const small = (): number => below(8);
    const dword = (): number => any(0, small(), small() * 2 ** 16 + small(), 0xffff_ffff, below(2 ** 32));
    let ended = 0;
    for (let round = 0; round < 10; round++) {
      await driver.enable();
      await driver.createQueue(io, 16);
      for (let n = 0; n < 40; n++) {
        // Lists of whatever kind, loops among them.
        const list = data + below(memorySize / 2 / page) * page;
        const entries = BigUint64Array.from({ length: page / 8 }, () => any(BigInt(list), address()));
        driver.at(list, page).set(new Uint8Array(entries.buffer));
        const queue = any(admin, io, io);
        const submission = {
          ...{ opcode: pick(opcodes[queue]!), namespace: any(0, 1, 1, 1, 2, 0xffff_ffff) },
          ...{ first: address(), second: any(address(), BigInt(list)), flags: any(0, 0, 0, 0, 0x40, 1) },
          dwords: [any(small(), dword()), any(0, dword()), any(small(), dword() & 0xffff), any(0, dword())],
        };
        // Which would take the queue away that answers.
        if (queue === admin && (submission.opcode === 0 || submission.opcode === 4))
          submission.dwords[0] = 2 + small();
        const id = driver.submit(queue, submission);
        if (queue === admin && submission.opcode === event && submission.flags === 0) continue;
        const completion = await driver.ended(queue, id);
        ended++;
        expect([seed, submission, known.has(completion.status)]).toEqual([seed, submission, true]);
        // From here on what is in memory counts, which is anything.
        if (queue === admin && submission.opcode === shadows && completion.status === 0) break;
        driver.write(any(0x1000, 0x1004) + 8 * any(2, 3, 4), dword());
      }
      // Nothing more comes of any.
      expect([driver.look(io), driver.look(admin).every(({ result }) => result >>> 16 === 1)]).toEqual([
        [],
        true,
      ]);
    }
    expect(ended).toBeGreaterThan(100);
    await driver.enable();
    await driver.createQueue(io, 16);
    const first = driver.allocate();
    await driver.done(io, { opcode: 2, first, dwords: [diskSize / 512 - 1, 0, 0] });
  },
  60_000,
);
