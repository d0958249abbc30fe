/** A saved machine with one CPU and one device, as far as the example itself looks at it. */
export const savedPc = {
  version: 2,
  memory: 2 ** 28,
  image: { end: ".ram", id: "8e6a1c1e-6f0b-4a38-9d5a-0b8e7b6f1f55" },
  machine: { version: 1, chips: [], clock: "1" },
  cpus: [{ version: 1, cpuid: [], parts: { regs: "AAAA" }, msrs: [] }],
  serial: {
    registers: [0, 0, 0, 3, 0, 0, 0, 0, 1, 0],
    hasFifos: false,
    tellsEmpty: false,
    input: [],
  },
  configAddress: 0,
  devices: [{ slot: 1, bdf: "0000:02:00.0", state: { version: 1 } }],
};
