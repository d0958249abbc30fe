import { expect, test } from "bun:test";
import { LocalEnvironment, LocalMemory, type ModelledDevice } from "bun-vfio";
import { Eventfd } from "bun-vfio/ffi";
import { uart } from "../../../examples/devices/uart.ts";

interface Port extends Disposable {
  readonly device: ModelledDevice;
  readonly sent: number[];
  /** Whether the line was heard since the last look; it is unmasked after it. */
  heard(): boolean;
  receive(...bytes: number[]): void;
  read(at: number): number;
  write(at: number, value: number): void;
}

function port(): Port {
  const sent: number[] = [];
  let receive: (bytes: Iterable<number>) => void = () => {};
  const environment = new LocalEnvironment(new LocalMemory(0), { manual: true });
  const device = uart({ send: (byte) => sent.push(byte), onReady: (give) => (receive = give) })(environment);
  device.write(7, 4, Uint8Array.of(1, 0)); // the ports decode
  const event = new Eventfd();
  device.setIrqs({ index: 0, action: "trigger", start: 0, data: { kind: "eventfd", fds: [event.fd] } });
  return {
    ...{ device, sent },
    receive: (...bytes) => receive(bytes),
    heard() {
      const count = event.drain();
      device.setIrqs({ index: 0, action: "unmask", start: 0, data: { kind: "none", count: 1 } });
      return count > 0;
    },
    read(at) {
      const data = new Uint8Array(new ArrayBuffer(1));
      device.read(0, at, data);
      return data[0]!;
    },
    write: (at, value) => device.write(0, at, Uint8Array.of(value)),
    [Symbol.dispose]() {
      device[Symbol.dispose]();
      event[Symbol.dispose]();
    },
  };
}

test("what is sent goes out at once, and is told by an interrupt that reading acknowledges", () => {
  using serial = port();
  serial.write(1, 2);
  expect([serial.heard(), serial.read(2)]).toEqual([true, 2]);
  serial.heard();
  expect(serial.heard()).toBe(false);
  serial.write(0, 65);
  expect([serial.sent, serial.read(5), serial.heard()]).toEqual([[65], 0x60, true]);
});

test("what comes in holds the line until the guest has taken it", () => {
  using serial = port();
  serial.write(1, 1);
  serial.receive(1, 2);
  expect([serial.heard(), serial.read(2), serial.read(5), serial.read(0), serial.heard()]).toEqual([
    true,
    4,
    0x61,
    1,
    true,
  ]);
  expect(serial.read(0)).toBe(2);
  serial.read(5);
  serial.heard();
  expect([serial.heard(), serial.read(5), serial.read(2)]).toEqual([false, 0x60, 1]);
});

test("the divisor is behind data and interrupt enable while its latch is open", () => {
  using serial = port();
  serial.write(1, 1);
  serial.write(3, 0x83);
  serial.write(0, 12);
  serial.write(1, 3);
  expect([serial.read(0), serial.read(1), serial.sent]).toEqual([12, 3, []]);
  serial.write(3, 3);
  expect([serial.read(0), serial.read(1), serial.read(3)]).toEqual([0, 1, 3]);
});

test("looped back: the modem's lines and data are its own, and nobody hears them", () => {
  using serial = port();
  expect(serial.read(6)).toBe(0xb0);
  serial.write(4, 0x1a);
  expect(serial.read(6)).toBe(0x90);
  serial.write(1, 1);
  serial.write(0, 7);
  expect([serial.sent, serial.heard(), serial.read(0)]).toEqual([[], false, 7]);
});

test("FIFOs are said to be there once they are on; the scratch register keeps what it is given", () => {
  using serial = port();
  expect(serial.read(2) >> 6).toBe(0);
  serial.write(2, 1);
  serial.write(7, 0x5a);
  expect([serial.read(2) >> 6, serial.read(7)]).toEqual([3, 0x5a]);
});

test("its state goes on in another port; input that nobody takes has an end", () => {
  using serial = port();
  serial.write(1, 1);
  serial.receive(...Array<number>(10_000).fill(9));
  const state: unknown = JSON.parse(JSON.stringify(serial.device.ownState.save()));
  using other = port();
  other.device.ownState.restore(state);
  expect((other.device.ownState.save() as { own: { input: number[] } }).own.input).toHaveLength(4096);
  expect(other.read(0)).toBe(9);
  for (const wrong of [null, {}, { bars: {} }, { bars: { 0: "00" } }])
    expect(() => other.device.ownState.restore(wrong)).toThrow(RangeError);
});
