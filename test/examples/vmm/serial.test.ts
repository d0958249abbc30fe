import { expect, test } from "bun:test";
import { Serial } from "../../../examples/vmm/devices/serial.ts";

function port() {
  const sent: number[] = [];
  const levels: boolean[] = [];
  const serial = new Serial({ send: (byte) => sent.push(byte), setIrq: (high) => levels.push(high) });
  const read = (at: number): number => {
    const data = new Uint8Array(1);
    serial.ioRead(0x3f8 + at, data);
    return data[0]!;
  };
  const write = (at: number, value: number): void => serial.ioWrite(0x3f8 + at, Uint8Array.of(value));
  return { serial, sent, levels, read, write };
}

test("what is sent goes out at once, and is told by an interrupt that reading acknowledges", () => {
  const { sent, levels, read, write } = port();
  write(1, 2);
  expect([levels, read(2), levels]).toEqual([[true, false], 2, [true, false]]);
  write(0, 65);
  expect([sent, read(5), levels]).toEqual([[65], 0x60, [true, false, true]]);
});

test("what comes in raises the line until the guest has taken it", () => {
  const { serial, levels, read, write } = port();
  write(1, 1);
  serial.receive([1, 2]);
  expect([read(2), read(5), read(0), levels]).toEqual([4, 0x61, 1, [true]]);
  expect([read(0), levels, read(5), read(2)]).toEqual([2, [true, false], 0x60, 1]);
});

test("the divisor is behind data and interrupt enable while its latch is open", () => {
  const { sent, read, write } = port();
  write(3, 0x83);
  write(0, 12);
  write(1, 1);
  expect([read(0), read(1), sent]).toEqual([12, 1, []]);
  write(3, 3);
  expect([read(0), read(1), read(3)]).toEqual([0, 0, 3]);
});

test("looped back: the modem's lines and data are its own, and nobody hears them", () => {
  const { sent, levels, read, write } = port();
  expect(read(6)).toBe(0xb0);
  write(4, 0x1a);
  expect(read(6)).toBe(0x90);
  write(1, 1);
  write(0, 7);
  expect([sent, levels, read(0)]).toEqual([[], [], 7]);
});

test("a state goes on in another port; input that nobody takes has an end", () => {
  const { serial, write } = port();
  write(1, 1);
  write(2, 1);
  serial.receive(Array<number>(2 ** 17).fill(9));
  const other = port();
  other.serial.state = JSON.parse(JSON.stringify(serial.state));
  expect(other.serial.state.input.length).toBe(2 ** 16);
  expect([other.levels, other.read(2), other.read(0)]).toEqual([[true], 0xc4, 9]);
});
