// Preloaded: what the runtime calls of the C library leaves an errno behind that no call fails with. POSIX allows that.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

enum { poison = 4095 };

#define POISONED(type, name, parameters, arguments)         \
  type name parameters {                                     \
    static type(*real) parameters;                           \
    if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
    type result = real arguments;                            \
    if (result != (type)-1) errno = poison;                  \
    return result;                                           \
  }

struct timespec;
POISONED(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
POISONED(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
POISONED(void *, mmap, (void *at, size_t size, int access, int flags, int fd, off_t offset), (at, size, access, flags, fd, offset))
POISONED(void *, mmap64, (void *at, size_t size, int access, int flags, int fd, off_t offset), (at, size, access, flags, fd, offset))
POISONED(int, munmap, (void *at, size_t size), (at, size))
POISONED(int, madvise, (void *at, size_t size, int advice), (at, size, advice))
POISONED(int, mprotect, (void *at, size_t size, int access), (at, size, access))
POISONED(int, clock_gettime, (int clock, struct timespec *time), (clock, time))
POISONED(int, pthread_mutex_lock, (void *mutex), (mutex))
POISONED(int, pthread_mutex_unlock, (void *mutex), (mutex))
POISONED(int, pthread_cond_signal, (void *condition), (condition))
POISONED(int, sched_yield, (void), ())
POISONED(void *, malloc, (size_t size), (size))
POISONED(void *, realloc, (void *at, size_t size), (at, size))

long syscall(long number, ...) {
  static long (*real)(long, ...);
  if (!real) real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
  long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  long result = real(number, a, b, c, d, e, f);
  if (result != -1) errno = poison;
  return result;
}
