// Words and numbers of the image file that do not need its schema.

/** The value of `format` in every image file. */
export const formatName = "bun-vfio image";
/** Bytes in a line of region contents. */
export const contentLine = 32;

export const regionFlags = ["read", "write", "mmap"] as const;
export const irqFlags = ["eventfd", "maskable", "automasked", "noresize"] as const;
