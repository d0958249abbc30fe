import { sysconf } from "./libc.ts";

const pageSizeName = 30; // _SC_PAGESIZE, of glibc and musl.
let known = 0;

/** Of this host, in bytes: 4096 on x86-64; 4, 16 or 64 KiB on aarch64. */
export function pageSize(): number {
  return (known ||= sysconf(pageSizeName));
}
