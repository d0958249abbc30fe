// Flags of the C library's functions on 64-bit Linux, where <fcntl.h> differs between x86-64 and aarch64 by machine.
// The tests compare them with the C headers of the machine that they run on.
const arm = process.arch === "arm64";

/** `O_*` of open(2). */
export const openFlag = Object.freeze({
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
  DIRECT: arm ? 0o200000 : 0o40000,
  DIRECTORY: arm ? 0o40000 : 0o200000,
  NOFOLLOW: arm ? 0o100000 : 0o400000,
});

/** `F_*` of fcntl(2). */
export const fcntlCommand = Object.freeze({
  GETFL: 3,
  SETFL: 4,
  DUPFD_CLOEXEC: 1030,
  ADD_SEALS: 1033,
  GET_SEALS: 1034,
});

/** `F_SEAL_*`: what can no longer be done to a memory file. */
export const sealFlag = Object.freeze({ SEAL: 1, SHRINK: 2, GROW: 4 });

/** `MFD_*` of memfd_create(2). */
export const memfdFlag = Object.freeze({
  CLOEXEC: 1,
  ALLOW_SEALING: 2,
  HUGETLB: 4,
  HUGE_2MB: 21 * 2 ** 26,
  HUGE_1GB: 30 * 2 ** 26,
});

/** `PROT_*` of mmap(2). */
export const protection = Object.freeze({ NONE: 0, READ: 1, WRITE: 2, EXEC: 4 });

/** `MAP_*` of mmap(2). */
export const mapFlag = Object.freeze({
  SHARED: 1,
  PRIVATE: 2,
  ANONYMOUS: 0x20,
  NORESERVE: 0x4000,
  POPULATE: 0x8000,
  FIXED: 0x10,
  FIXED_NOREPLACE: 0x100000,
});

/** `MADV_*` of madvise(2). */
export const memoryAdvice = Object.freeze({ DONTNEED: 4, DONTFORK: 10, HUGEPAGE: 14 });

/** `POLLIN`, and `EPOLL_CTL_*` with `EPOLL*` of epoll_ctl(2). */
export const pollFlag = Object.freeze({ IN: 1, OUT: 4 });
export const epollOperation = Object.freeze({ ADD: 1, DEL: 2, MOD: 3 });
export const epollFlag = Object.freeze({ IN: 1, ONESHOT: 2 ** 30 });

/** `EFD_*` of eventfd(2). */
export const eventfdFlag = Object.freeze({ NONBLOCK: 0o4000, CLOEXEC: 0o2000000 });

/** `RLIMIT_*` of prlimit(2). */
export const resourceLimit = Object.freeze({ NOFILE: 7, MEMLOCK: 8 });

/** `AF_*`, `SOCK_*` and `SHUT_*` of socket(2) and shutdown(2). */
export const socketFamily = Object.freeze({ UNIX: 1 });
export const socketType = Object.freeze({ STREAM: 1, CLOEXEC: 0o2000000 });
export const socketShutdown = Object.freeze({ RDWR: 2 });
/** `SOL_*` and `SO_*` of setsockopt(2), and the one kind of ancillary data: descriptors. */
export const socketLevel = Object.freeze({ SOCKET: 1 });
export const socketOption = Object.freeze({ SNDBUF: 7, PEERCRED: 17, RCVTIMEO: 20, SNDTIMEO: 21 });
export const ancillaryType = Object.freeze({ RIGHTS: 1 });
/** `MSG_*` of recvmsg(2) and sendmsg(2). */
export const messageFlag = Object.freeze({
  CTRUNC: 8,
  DONTWAIT: 0x40,
  NOSIGNAL: 0x4000,
  CMSG_CLOEXEC: 0x40000000,
});

/** `IOCB_CMD_*` and `IOCB_FLAG_*` of io_submit(2), and `RWF_*` of pwritev2(2), which it takes, too. */
export const aioCommand = Object.freeze({ FDSYNC: 3, POLL: 5, PREADV: 7, PWRITEV: 8 });
export const aioFlag = Object.freeze({ RESFD: 1 });
export const transferFlag = Object.freeze({ DSYNC: 2 });

/** `SIG*` of kill(2), `SIG_*` of sigprocmask(2). */
export const signalNumber = Object.freeze({ USR2: 12 });
export const signalMask = Object.freeze({ BLOCK: 0, UNBLOCK: 1 });
