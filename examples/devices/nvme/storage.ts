// The commands of a queue for reading and writing (6), whose blocks are a file's.
import { DmaFile, type DeviceMemory, type DmaMedium, type DmaOutcome } from "bun-vfio";
import { dataPieces } from "./pages.ts";
import type { Command } from "./queues.ts";
import { blockBits, largestTransfer, page } from "./registers.ts";
import { need, status } from "./status.ts";

const opcode = { flush: 0, write: 1, read: 2, writeZeroes: 8 } as const;
const allNamespaces = 0xffff_ffff;
const blockSize = 2 ** blockBits;

export class Storage extends DmaFile {
  readonly blocks = Math.floor(this.medium.size / blockSize);
  readonly #onEnd: (command: Command, how: number) => void;

  /** @param onEnd hears of each command that `begin` took */
  constructor(memory: DeviceMemory, medium: DmaMedium, onEnd: (command: Command, how: number) => void) {
    super(memory, medium);
    this.#onEnd = onEnd;
  }

  /** Begins a command. @throws CommandError with how it ends at once; VfioError for memory that is none */
  begin(command: Command): void {
    const { commandOpcode: code, namespace, dword10, dword11, dword12Low } = command.entry;
    const { dword12ForceUnitAccess: durable } = command.entry;
    need(namespace === 1 || (code === opcode.flush && namespace === allNamespaces), "invalidNamespace");
    if (code === opcode.flush)
      return this.medium.sync((result) =>
        this.#onEnd(command, result < 0 ? status.writeFault : status.success),
      );
    need(code === opcode.read || code === opcode.write || code === opcode.writeZeroes, "invalidOpcode");
    const [at, size] = [(dword10 + dword11 * 2 ** 32) * blockSize, (dword12Low + 1) * blockSize];
    need(at + size <= this.blocks * blockSize, "beyondEnd");
    const fault = code === opcode.read ? status.readFault : status.writeFault;
    const how = { done: status.success, "medium-failed": fault, "memory-gone": status.dataTransfer };
    const onEnd = (outcome: DmaOutcome): void => this.#onEnd(command, how[outcome]);
    if (code === opcode.writeZeroes) return this.writeZeroes(at, size, onEnd, durable);
    need(size <= page * 2 ** largestTransfer, "invalidField");
    const pieces = dataPieces(this.memory, command, size);
    this.transfer(code === opcode.read ? "read" : "write", at, pieces, onEnd, durable);
  }
}
