/*
 * The SIGBUS guard: memory whose file was cut off becomes zeros, and the fault is counted, where it would end the
 * process.
 *
 *   fault -> inside a window that was added? -> count -> anonymous memory in its place -> the instruction is done again
 *                  \-> the handler that was there before, or the death that was due
 *
 * What was read or stored from then on in that window proves nothing: whoever uses it asks for the count before it
 * believes anything. The counts are raised before the zeros are there, so nobody who has seen a zero of ours can miss
 * them.
 *
 * The handler is async-signal-safe: it takes no lock, allocates nothing and makes bare system calls. Adding and
 * removing wait for nobody but a handler that is just replacing a page of the very window that is removed.
 */
#include "swarmhaul.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FREE, MAKING, LIVE };
enum { CHUNK_WINDOWS = 1024, CHUNK_COUNT = 1024 };
/*
 * What is replaced at once, up to the next multiple of it. A fault takes 14 us: page by page a hash of 16 MiB would
 * stand for 57 ms. What follows in the window proves nothing from now on anyhow, and stays in its file.
 */
enum { STRETCH_BYTES = 65536 };

struct window {
  _Atomic uint32_t state;
  _Atomic uint32_t faults;
  /* Handlers that look at it just now. */
  _Atomic uint32_t visitors;
  _Atomic uintptr_t begin;
  _Atomic uintptr_t end;
  /* Address of the first fault. */
  _Atomic uintptr_t first;
};

/* Chunks are made when needed and never freed: a handler may be reading them. */
static _Atomic(struct window *) chunks[CHUNK_COUNT];
/* Where the search for a free place begins. */
static _Atomic uint32_t hint;
static _Atomic uint32_t total;

enum { ABSENT, INSTALLING, PRESENT };
static _Atomic int stage;
static struct sigaction previous;
/* The handler before was one that is used once (SA_RESETHAND). */
static _Atomic int previous_is_spent;
static uintptr_t page_bytes;
static uintptr_t stretch_bytes;

static int put_zeros(uintptr_t begin, uintptr_t length)
{
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
  return syscall(SYS_mmap, begin, length, PROT_READ | PROT_WRITE, flags, -1, 0) == (long)begin;
}

static int replace(struct window *window, uintptr_t address)
{
  const uintptr_t begin = atomic_load(&window->begin);
  const uintptr_t end = atomic_load(&window->end);
  if (address < begin || address >= end) return 0;
  uintptr_t none = 0;
  atomic_compare_exchange_strong(&window->first, &none, address);
  atomic_fetch_add(&window->faults, 1);
  atomic_fetch_add(&total, 1);
  const uintptr_t from = address & ~(page_bytes - 1);
  const uintptr_t to = (from / stretch_bytes + 1) * stretch_bytes;
  if (put_zeros(from, (to < end ? to : end) - from)) return 1;
  /* The process may have no mapping left to split this one with: as a whole it needs none. */
  return put_zeros(begin, end - begin);
}

static int guarded(uintptr_t address)
{
  for (size_t at = 0; at < CHUNK_COUNT; at++) {
    struct window *const chunk = atomic_load(&chunks[at]);
    if (chunk == NULL) break;
    for (size_t slot = 0; slot < CHUNK_WINDOWS; slot++) {
      struct window *const window = &chunk[slot];
      if (atomic_load(&window->state) != LIVE) continue;
      atomic_fetch_add(&window->visitors, 1);
      const int is_done = atomic_load(&window->state) == LIVE && replace(window, address);
      atomic_fetch_sub(&window->visitors, 1);
      if (is_done) return 1;
    }
  }
  return 0;
}

/*
 * The signal's own action, as if we had never been there. A fault comes again by itself when we return; a signal that
 * was sent does not.
 */
static void die(int number, int is_sent)
{
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
  if (is_sent) raise(number);
}

static void pass_on(int number, siginfo_t *info, void *context)
{
  /* What the kernel says of a fault is positive, and ends the process also where the signal is ignored. */
  const int is_sent = info->si_code <= 0;
  /* A bad page of memory that nobody touched yet is told of without a fault. */
  const int comes_again = info->si_code != BUS_MCEERR_AO;
  const int is_plain = (previous.sa_flags & SA_SIGINFO) == 0;
  if (is_plain && previous.sa_handler == SIG_IGN && is_sent) return;
  if (is_plain && (previous.sa_handler == SIG_DFL || previous.sa_handler == SIG_IGN)) {
    die(number, is_sent || !comes_again);
    return;
  }
  if ((previous.sa_flags & SA_RESETHAND) != 0 && atomic_exchange(&previous_is_spent, 1) != 0) {
    die(number, is_sent || !comes_again);
    return;
  }
  /* The mask that it asked for. The kernel puts back the old one when we return. */
  sigset_t mask = previous.sa_mask;
  sigprocmask(SIG_BLOCK, &mask, NULL);
  if ((previous.sa_flags & SA_NODEFER) != 0 && !sigismember(&previous.sa_mask, number)) {
    sigemptyset(&mask);
    sigaddset(&mask, number);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
  }
  if (is_plain) previous.sa_handler(number);
  else previous.sa_sigaction(number, info, context);
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
  const int saved = errno;
  /* No memory behind the address, or memory that has failed; not a wrong alignment, and nothing that somebody sent. */
  const int is_loss = info->si_code == BUS_ADRERR || info->si_code == BUS_MCEERR_AR;
  if (!is_loss || !guarded((uintptr_t)info->si_addr)) pass_on(number, info, context);
  errno = saved;
}

int32_t sh_guard_install(void)
{
  int expected = ABSENT;
  if (!atomic_compare_exchange_strong(&stage, &expected, INSTALLING)) {
    while (atomic_load(&stage) == INSTALLING) sched_yield();
    return atomic_load(&stage) == PRESENT ? 0 : EAGAIN;
  }
  page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  stretch_bytes = page_bytes > STRETCH_BYTES ? page_bytes : STRETCH_BYTES;
  struct sigaction action = {.sa_sigaction = on_sigbus};
  sigemptyset(&action.sa_mask);
  /* Without the flags of an alternate stack and of restarting, calls and threads that count on them would see us. */
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  /* Known before it may be needed. */
  int failure = sigaction(SIGBUS, NULL, &previous) != 0 ? errno : 0;
  if (failure == 0 && sigaction(SIGBUS, &action, NULL) != 0) failure = errno;
  atomic_store(&stage, failure == 0 ? PRESENT : ABSENT);
  return failure;
}

/* A chunk that is there, or is made now; NULL without memory. */
static struct window *chunk_at(size_t at)
{
  struct window *known = atomic_load(&chunks[at]);
  if (known != NULL) return known;
  struct window *const made = calloc(CHUNK_WINDOWS, sizeof(struct window));
  if (made == NULL || atomic_compare_exchange_strong(&chunks[at], &known, made)) return made;
  free(made);
  return known;
}

static struct window *window_of(int32_t number)
{
  if (number < 0 || number >= CHUNK_WINDOWS * CHUNK_COUNT) return NULL;
  struct window *const chunk = atomic_load(&chunks[number / CHUNK_WINDOWS]);
  return chunk == NULL ? NULL : &chunk[number % CHUNK_WINDOWS];
}

static int take(struct window *window, uintptr_t begin, uintptr_t length)
{
  uint32_t expected = FREE;
  if (atomic_load(&window->state) != FREE) return 0;
  if (!atomic_compare_exchange_strong(&window->state, &expected, MAKING)) return 0;
  atomic_store(&window->faults, 0);
  atomic_store(&window->first, 0);
  atomic_store(&window->begin, begin);
  atomic_store(&window->end, begin + length);
  atomic_store(&window->state, LIVE);
  return 1;
}

int32_t sh_guard_add(uintptr_t begin, uintptr_t length)
{
  if (atomic_load(&stage) != PRESENT) return -1;
  if (begin % page_bytes != 0 || length % page_bytes != 0 || length == 0 || begin + length < begin) return -1;
  /* From the hint to the end of the chunks that are there, from the begin to the hint, then in a new chunk. */
  const uint32_t start = atomic_load(&hint);
  for (int round = 0; round < 2; round++) {
    for (uint32_t number = round == 0 ? start : 0; number < CHUNK_WINDOWS * CHUNK_COUNT; number++) {
      struct window *const window = window_of((int32_t)number);
      if (window == NULL || (round == 1 && number >= start)) break;
      if (!take(window, begin, length)) continue;
      atomic_store(&hint, number + 1);
      return (int32_t)number;
    }
  }
  for (size_t at = 0; at < CHUNK_COUNT; at++) {
    if (atomic_load(&chunks[at]) != NULL) continue;
    struct window *const chunk = chunk_at(at);
    if (chunk == NULL) return -1;
    for (uint32_t slot = 0; slot < CHUNK_WINDOWS; slot++) {
      if (take(&chunk[slot], begin, length)) return (int32_t)(at * CHUNK_WINDOWS + slot);
    }
  }
  return -1;
}

void sh_guard_remove(int32_t number)
{
  struct window *const window = window_of(number);
  uint32_t expected = LIVE;
  if (window == NULL || !atomic_compare_exchange_strong(&window->state, &expected, MAKING)) return;
  while (atomic_load(&window->visitors) != 0) sched_yield();
  atomic_store(&window->state, FREE);
  atomic_store(&hint, (uint32_t)number);
}

uint32_t sh_guard_faults(int32_t number)
{
  struct window *const window = window_of(number);
  return window == NULL ? 0 : atomic_load(&window->faults);
}

uintptr_t sh_guard_first(int32_t number)
{
  struct window *const window = window_of(number);
  const uintptr_t first = window == NULL ? 0 : atomic_load(&window->first);
  return first == 0 ? 0 : first - atomic_load(&window->begin);
}

uintptr_t sh_guard_total(void)
{
  return (uintptr_t)&total;
}
