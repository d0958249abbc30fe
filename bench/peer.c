// The same loops in C: each returns how long it took, in nanoseconds.
#include <stdint.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

double peer_ioctl(int fd, unsigned request, void *argument, uint32_t rounds) {
  double start = now();
  for (uint32_t i = 0; i < rounds; i++)
    if (ioctl(fd, request, argument) < 0) return -1;
  return now() - start;
}

double peer_pread(int fd, void *data, uint32_t size, uint32_t offset, uint32_t rounds) {
  double start = now();
  for (uint32_t i = 0; i < rounds; i++)
    if (pread(fd, data, size, offset) != (ssize_t)size) return -1;
  return now() - start;
}

double peer_pwrite(int fd, const void *data, uint32_t size, uint32_t offset, uint32_t rounds) {
  double start = now();
  for (uint32_t i = 0; i < rounds; i++)
    if (pwrite(fd, data, size, offset) != (ssize_t)size) return -1;
  return now() - start;
}

double peer_read32(volatile uint32_t *at, uint32_t rounds) {
  double start = now();
  for (uint32_t i = 0; i < rounds; i++) (void)*at;
  return now() - start;
}

double peer_write32(volatile uint32_t *at, uint32_t rounds) {
  double start = now();
  for (uint32_t i = 0; i < rounds; i++) *at = i;
  return now() - start;
}
