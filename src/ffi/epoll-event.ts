// struct epoll_event: packed on x86-64 alone (sys/epoll.h).
const packed = process.arch === "x64";
/** In bytes. */
export const epollEventSize = packed ? 12 : 16;
/** Where the value lies that epoll_ctl(2) was given, in bytes. */
export const epollDataOffset = packed ? 4 : 8;

/** Room for `count` events, in memory that stays where it is. */
export const epollEvents = (count: number): Uint8Array<ArrayBuffer> =>
  new Uint8Array(new ArrayBuffer(count * epollEventSize));

/** An event with a value of 32 bits, by which it is known again. */
export function epollEvent(flags: number, value: number): Uint8Array {
  const event = epollEvents(1);
  const view = new DataView(event.buffer);
  view.setUint32(0, flags, true);
  view.setUint32(epollDataOffset, value, true);
  return event;
}

/** The values of the first `count` events. */
export function epollValues(events: Uint8Array, count: number): number[] {
  const view = new DataView(events.buffer, events.byteOffset);
  return Array.from({ length: count }, (_, i) => view.getUint32(i * epollEventSize + epollDataOffset, true));
}
