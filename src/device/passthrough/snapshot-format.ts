/** The format that this version writes, and the only one that it reads. */
export const snapshotVersion = 2;
/** Characters of a device's name that a snapshot keeps. */
export const longestName = 256;
