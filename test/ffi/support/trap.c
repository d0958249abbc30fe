// Counts the accesses of this process to a page: each one faults, is noted, runs by itself, and closes the page again.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { limit = 4096, page = 4096, trap_flag = 0x100, fault_is_write = 2 };

struct access { uint32_t offset, width, is_write, value; };
static struct access noted[limit];
static unsigned count;
static uint8_t *area;
static struct sigaction old_fault, old_trap;

// The width of the moves that compilers make, 0 for anything else.
static uint32_t width_of(const uint8_t *code) {
  int is_short = 0, is_wide = 0;
  for (;; code++) {
    if (*code == 0x66) is_short = 1;
    else if ((*code & 0xf0) == 0x40) is_wide = *code & 8;
    else break;
  }
  switch (*code) {
  case 0x88: case 0x8a: case 0xc6: return 1;
  case 0x89: case 0x8b: case 0xc7: return is_wide ? 8 : is_short ? 2 : 4;
  case 0x0f:
    if (code[1] == 0xb6 || code[1] == 0xbe) return 1;
    if (code[1] == 0xb7 || code[1] == 0xbf) return 2;
  }
  return 0;
}

static void on_fault(int signal, siginfo_t *info, void *context) {
  ucontext_t *user = context;
  uint8_t *at = info->si_addr;
  if (!area || at < area || at >= area + page) {
    if (old_fault.sa_flags & SA_SIGINFO) old_fault.sa_sigaction(signal, info, context);
    else sigaction(SIGSEGV, &old_fault, 0);
    return;
  }
  if (count < limit) {
    noted[count].offset = at - area;
    noted[count].width = width_of((const uint8_t *)user->uc_mcontext.gregs[REG_RIP]);
    noted[count].is_write = (user->uc_mcontext.gregs[REG_ERR] & fault_is_write) != 0;
  }
  mprotect(area, page, PROT_READ | PROT_WRITE);
  user->uc_mcontext.gregs[REG_EFL] |= trap_flag;
}

static void on_step(int signal, siginfo_t *info, void *context) {
  ucontext_t *user = context;
  (void)signal, (void)info;
  if (count < limit) noted[count].value = *(volatile uint8_t *)(area + noted[count].offset);
  count++;
  mprotect(area, page, PROT_NONE);
  user->uc_mcontext.gregs[REG_EFL] &= ~trap_flag;
}

void trap_begin(uint64_t address) {
  struct sigaction fault = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  struct sigaction step = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO | SA_ONSTACK };
  area = (uint8_t *)address;
  count = 0;
  sigaction(SIGSEGV, &fault, &old_fault);
  sigaction(SIGTRAP, &step, &old_trap);
  mprotect(area, page, PROT_NONE);
}

uint32_t trap_end(struct access *into) {
  mprotect(area, page, PROT_READ | PROT_WRITE);
  sigaction(SIGSEGV, &old_fault, 0);
  sigaction(SIGTRAP, &old_trap, 0);
  area = 0;
  for (unsigned i = 0; i < count && i < limit; i++) into[i] = noted[i];
  return count;
}
