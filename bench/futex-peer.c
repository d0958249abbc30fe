// Two threads that hand an access over and back by two futexes: what no answer of another thread can be quicker than without
// spinning. Each takes what the other left, as the mailbox does.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct box {
  _Alignas(64) _Atomic uint32_t bell;
  _Alignas(64) _Atomic uint32_t state;
  uint32_t address;
  uint8_t data[8];
  uint32_t rounds;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e9 + t.tv_nsec;
}

static void sleep_on(_Atomic uint32_t *word, uint32_t value) {
  while (atomic_load(word) == value) syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); }

static void *answer(void *argument) {
  struct box *box = argument;
  for (uint32_t i = 0; i < box->rounds; i++) {
    sleep_on(&box->bell, i);
    memset(box->data, box->address & 0xff, sizeof box->data);
    atomic_store(&box->state, 0);
    wake(&box->state);
  }
  return NULL;
}

// How long each of so many round trips took, in ns. Returns -1 where there is no thread.
int peer_round_trips(double *times, uint32_t rounds) {
  static struct box box;
  memset(&box, 0, sizeof box);
  box.rounds = rounds;
  pthread_t thread;
  if (pthread_create(&thread, NULL, answer, &box) != 0) return -1;
  for (uint32_t i = 0; i < rounds; i++) {
    double start = now();
    box.address = i;
    atomic_store(&box.state, 1);
    atomic_fetch_add(&box.bell, 1);
    wake(&box.bell);
    sleep_on(&box.state, 1);
    times[i] = now() - start;
  }
  pthread_join(thread, NULL);
  return 0;
}
