// A serial port (16550A, as National Semiconductor's PC16550D) on PCI, which Linux's 8250_pci drives.
import { modelledDevice, type DeviceEnvironment, type ModelledDevice } from "bun-vfio";
import { alias, r8, registerMap, ro, rw, wo } from "bun-vfio/regs";

export const uartMap = registerMap("16550", 8, {
  receive: r8(0, "rc"),
  transmit: alias("receive", r8(0, "wo")),
  interruptEnable: r8(1, { received: rw(0), empty: rw(1), line: rw(2), modem: rw(3) }),
  identification: r8(2, { id: ro(3, 0), fifos: ro(7, 6) }),
  fifoControl: alias("identification", r8(2, { enable: wo(0), clearReceived: wo(1) })),
  lineControl: r8(3, { format: rw(6, 0), divisorLatch: rw(7) }),
  modemControl: r8(4, { dtr: rw(0), rts: rw(1), out1: rw(2), out2: rw(3), loop: rw(4) }),
  lineStatus: r8(5, { ready: ro(0), empty: ro(6, 5) }),
  modemStatus: r8(6, "ro"),
  scratch: r8(7, "rw"),
});

const pending = { none: 1, empty: 2, received: 4 } as const;
/** Of the modem's status: somebody is there. Of the line's: all that was written is out. */
const [connected, transmitterEmpty] = [0xb0, 0x60];
/** Bytes that wait; what is more is lost, as on a real line. */
const mostInput = 4096;
const isBytes = (list: unknown, most: number): boolean =>
  Array.isArray(list) && list.length <= most && list.every((byte) => byte >= 0 && byte <= 0xff);

/** The other end of the line. */
export interface Line {
  /** Takes a byte that the guest sends. */
  send(byte: number): void;
  /** Called once, with what gives the guest bytes. */
  onReady?(receive: (bytes: Iterable<number>) => void): void;
}

/** A serial port for a line. */
export const uart = (line: Line): ((environment: DeviceEnvironment) => ModelledDevice) =>
  modelledDevice({
    ...{ name: "uart", vendorId: 0x1b36, deviceId: 0x0002, classCode: 0x07_0002, revision: 1 },
    intx: true,
    bars: { 0: { map: uartMap, kind: "io" } },
    create({ bars: { 0: registers }, interrupts }) {
      let input: number[] = [];
      let tellsEmpty = false;
      /** The divisor, and interrupt enable while the latch hides it. */
      let hidden = [1, 0, 0];
      const latch = (): boolean => registers.get("lineControl.divisorLatch");
      const loops = (): boolean => registers.get("modemControl.loop");
      /** Looped back, the modem's lines are those that the port drives: DTR is DSR, RTS is CTS, the others as they are. */
      const wires = (lines = registers.get("modemControl")): number =>
        ((lines & 1) << 5) | ((lines & 2) << 3) | ((lines & 12) << 4);
      const id = (): number => {
        const enabled = latch() ? hidden[2]! : registers.get("interruptEnable");
        if (enabled & 1 && input.length > 0) return pending.received;
        return enabled & 2 && tellsEmpty ? pending.empty : pending.none;
      };
      const update = (): void => interrupts.setLine(id() !== pending.none && !loops());
      const receive = (bytes: Iterable<number>): void => {
        for (const byte of bytes) if (input.length < mostInput) input.push(byte);
        update();
      };
      line.onReady?.(receive);
      return {
        bars: {
          0: {
            receive: { read: () => registers.set("receive", latch() ? hidden[0]! : (input.shift() ?? 0)) },
            transmit: {
              write(byte) {
                if (latch()) return void (hidden[0] = byte);
                if (loops()) receive([byte]);
                else line.send(byte);
                tellsEmpty = true;
              },
            },
            interruptEnable: {
              write({ raw, empty }) {
                if (latch()) hidden[1] = raw;
                else tellsEmpty ||= empty;
              },
            },
            identification: {
              read() {
                registers.set("identification.id", id());
                if (id() === pending.empty) tellsEmpty = false;
              },
            },
            fifoControl: {
              write({ raw }) {
                registers.set("identification.fifos", raw & 1 ? 3 : 0);
                if (raw & 2) input = [];
              },
            },
            lineControl: {
              write({ divisorLatch }, before) {
                if (divisorLatch === before.divisorLatch) return;
                // Behind the latch the second register is the divisor's high byte.
                if (divisorLatch) hidden[2] = registers.get("interruptEnable");
                registers.set("interruptEnable", hidden[divisorLatch ? 1 : 2]!);
              },
            },
            lineStatus: {
              read: () => registers.set("lineStatus", transmitterEmpty | Number(input.length > 0)),
            },
            modemStatus: { read: () => registers.set("modemStatus", loops() ? wires() : connected) },
          },
        },
        accessed: update,
        save: () => ({ input, tellsEmpty, hidden }),
        restore(state) {
          const saved = state as { input: number[]; tellsEmpty: boolean; hidden: number[] };
          if (!isBytes(saved?.input, mostInput) || !isBytes(saved.hidden, 3))
            throw new RangeError("no uart's state");
          ({ input, hidden, tellsEmpty } = saved);
        },
      };
    },
  });

/** On this program's terminal: the module that `serveDevice` runs in a thread. */
export default (environment: DeviceEnvironment): ModelledDevice =>
  uart({ send: (byte) => void process.stdout.write(Uint8Array.of(byte)) })(environment);
