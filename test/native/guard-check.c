/*
 * What of the SIGBUS guard only C can show: `guard-check MODE` ends with 0 and a line of what it saw, or by the signal
 * it must end by. Compiled and run by guard.test.ts, together with native/guard.c.
 */
#include "swarmhaul.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 512 };

static size_t page;
static int file;

static void need(int is_so, const char *what)
{
  if (is_so) return;
  printf("not so: %s\n", what);
  exit(3);
}

/* A mapped file of PAGES pages that was cut off to one page. */
static volatile unsigned char *cut_mapping(void)
{
  char name[] = "/tmp/guard-check-XXXXXX";
  file = mkstemp(name);
  need(file >= 0 && unlink(name) == 0 && ftruncate(file, (off_t)(PAGES * page)) == 0, "a file");
  void *at = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  need(at != MAP_FAILED, "a mapping");
  memset(at, 7, PAGES * page);
  need(ftruncate(file, (off_t)page) == 0, "cutting");
  return at;
}

static volatile sig_atomic_t calls;
static sigjmp_buf back;

/* The handler before ours: says what it was told and goes on elsewhere, as if it turned faults into exceptions. */
static void before(int number, siginfo_t *info, void *context)
{
  sigset_t now;
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  const int is_right = number == SIGBUS && info->si_code == BUS_ADRERR && context != NULL;
  calls += is_right && sigismember(&now, SIGUSR1) && sigismember(&now, SIGBUS) ? 1 : 100;
  siglongjmp(back, 1);
}

static void plain(int number)
{
  calls += number == SIGBUS ? 1 : 100;
}

static void handle(void (*with_info)(int, siginfo_t *, void *), void (*without)(int), int flags)
{
  struct sigaction action = {.sa_flags = flags};
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGUSR1);
  if (with_info != NULL) {
    action.sa_sigaction = with_info;
    action.sa_flags |= SA_SIGINFO;
  } else action.sa_handler = without;
  need(sigaction(SIGBUS, &action, NULL) == 0, "the handler before");
}

static void install(void)
{
  need(sh_guard_install() == 0 && sh_guard_install() == 0, "the guard");
}

static void touch_elsewhere(void)
{
  cut_mapping()[page] = 1;
}

static void mode_info(void)
{
  handle(before, NULL, 0);
  install();
  volatile unsigned char *inside = cut_mapping();
  const int32_t window = sh_guard_add((uintptr_t)inside, PAGES * page);
  inside[3 * page + 5] = 9;
  need(calls == 0 && inside[3 * page + 5] == 9 && inside[3 * page] == 0, "a fault inside");
  need(sh_guard_faults(window) == 1 && sh_guard_first(window) == 3 * page + 5, "its count");
  for (int times = 1; times <= 3; times++) {
    if (sigsetjmp(back, 1) == 0) touch_elsewhere();
    need(calls == times, "the handler before is called");
  }
  need(sh_guard_faults(window) == 1, "faults elsewhere do not count");
}

static void mode_plain(void)
{
  handle(NULL, plain, 0);
  install();
  raise(SIGBUS);
  raise(SIGBUS);
  need(calls == 2, "the plain handler is called");
}

static void mode_once(void)
{
  handle(NULL, plain, SA_RESETHAND);
  install();
  raise(SIGBUS);
  need(calls == 1, "it is called once");
  raise(SIGBUS);
}

static void mode_ignored(void)
{
  handle(NULL, SIG_IGN, 0);
  install();
  raise(SIGBUS);
  touch_elsewhere();
}

static void mode_sent(void)
{
  install();
  raise(SIGBUS);
}

static void mode_elsewhere(void)
{
  install();
  volatile unsigned char *inside = cut_mapping();
  sh_guard_add((uintptr_t)inside, PAGES * page);
  inside[page] = 1;
  touch_elsewhere();
}

static void mode_removed(void)
{
  install();
  volatile unsigned char *inside = cut_mapping();
  const int32_t window = sh_guard_add((uintptr_t)inside, PAGES * page);
  inside[page] = 1;
  sh_guard_remove(window);
  inside[100 * page] = 1;
}

static _Atomic int is_over;

/* Adds and removes windows that have no memory at all. */
static void *churn(void *argument)
{
  (void)argument;
  int32_t windows[64];
  while (!atomic_load(&is_over)) {
    for (uintptr_t at = 0; at < 64; at++) windows[at] = sh_guard_add((1 + at) * page, page);
    for (int at = 63; at >= 0; at--) sh_guard_remove(windows[at]);
  }
  return NULL;
}

struct toucher {
  volatile unsigned char *memory;
  unsigned first;
  unsigned char seen;
};

static void *touch_all(void *argument)
{
  struct toucher *const mine = argument;
  for (unsigned at = 0; at < PAGES - 1; at++) mine->seen |= mine->memory[(1 + (at + mine->first) % (PAGES - 1)) * page];
  return NULL;
}

enum { TOUCHERS = 8, ROUNDS = 8 };

static void mode_threads(void)
{
  install();
  pthread_t churners[2], threads[TOUCHERS];
  for (int at = 0; at < 2; at++) pthread_create(&churners[at], NULL, churn, NULL);
  for (int round = 0; round < ROUNDS; round++) {
    volatile unsigned char *memory = cut_mapping();
    const int32_t window = sh_guard_add((uintptr_t)memory, PAGES * page);
    need(window >= 0, "a window");
    struct toucher touchers[TOUCHERS];
    for (unsigned at = 0; at < TOUCHERS; at++) {
      touchers[at] = (struct toucher){memory, at * 61, 0};
      pthread_create(&threads[at], NULL, touch_all, &touchers[at]);
    }
    for (int at = 0; at < TOUCHERS; at++) pthread_join(threads[at], NULL);
    for (int at = 0; at < TOUCHERS; at++) need(touchers[at].seen == 0, "zeros");
    const uint32_t faults = sh_guard_faults(window);
    need(faults >= PAGES * page / 65536 && faults <= TOUCHERS * (PAGES - 1), "what was replaced is counted");
    need(memory[0] == 7, "what is there still is left alone");
    sh_guard_remove(window);
    munmap((void *)memory, PAGES * page);
    close(file);
  }
  atomic_store(&is_over, 1);
  for (int at = 0; at < 2; at++) pthread_join(churners[at], NULL);
}

/* No mapping is left to split the window with: it is replaced as a whole. */
static void mode_crowded(void)
{
  install();
  volatile unsigned char *inside = cut_mapping();
  const int32_t window = sh_guard_add((uintptr_t)inside, PAGES * page);
  for (;;) {
    /* Neighbours of other protection are mappings of their own. */
    unsigned char *at = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at != MAP_FAILED && mprotect(at, page, PROT_NONE) == 0) continue;
    munmap(at, 2 * page);
    break;
  }
  need(mprotect((void *)(inside + page), page, PROT_NONE) != 0, "no room for one more");
  inside[5 * page] = 3;
  inside[300 * page] = 4;
  need(sh_guard_faults(window) == 1 && inside[5 * page] == 3 && inside[300 * page] == 4, "one fault for all of it");
}

int main(int count, char **arguments)
{
  static const struct {
    const char *name;
    void (*run)(void);
  } modes[] = {
      {"info", mode_info}, {"plain", mode_plain}, {"once", mode_once}, {"ignored", mode_ignored}, {"sent", mode_sent},
      {"elsewhere", mode_elsewhere}, {"removed", mode_removed}, {"threads", mode_threads}, {"crowded", mode_crowded},
  };
  page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t at = 0; count == 2 && at < sizeof modes / sizeof *modes; at++) {
    if (strcmp(modes[at].name, arguments[1]) != 0) continue;
    modes[at].run();
    printf("%s: all as it should be\n", modes[at].name);
    return 0;
  }
  return 2;
}
