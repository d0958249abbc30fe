/** struct iocb of linux/aio_abi.h: offsets, in bytes. */
export const iocb = Object.freeze({
  data: 0,
  operationFlags: 12,
  opcode: 16,
  fd: 20,
  buffer: 24,
  /** Events to wait for, of IOCB_CMD_POLL. */
  events: 24,
  count: 32,
  offset: 40,
  flags: 56,
  resultFd: 60,
  size: 64,
});
