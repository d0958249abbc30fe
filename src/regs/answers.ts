// A device that is gone, asleep or stuck answers no read: the root complex completes each one with all ones.

/** Bytes that every header has. */
const headerSize = 64;

/** What is said of a config space that `readsAllOnes`. */
export const allOnesText = "config space reads all ones: the device is gone, asleep or stuck";

/**
 * Whether no byte of the header, or of as much of it as is there, is anything but all ones. A virtual function's IDs
 * read all ones while it is well (PCI Express Base Specification 9.3.4.1.1): they alone settle nothing.
 */
export const readsAllOnes = (config: Uint8Array): boolean => {
  const end = Math.min(config.length, headerSize);
  for (let at = 0; at < end; at++) if (config[at] !== 0xff) return false;
  return end > 0;
};
