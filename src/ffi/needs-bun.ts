// What Node and others get of the entry points that call the kernel through `bun:ffi`.
throw new Error(
  "This entry point of bun-vfio runs under Bun alone: start the program with `bun`. Elsewhere there are bun-vfio/regs and bun-vfio/image.",
);
export {};
