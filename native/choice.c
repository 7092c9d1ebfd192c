#include "choice.h"

#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define SAMPLE_BLOCKS 32
#define SAMPLES 9

enum { UNKNOWN, BEING_MEASURED, KNOWN };

static struct {
  atomic_int progress;
  uint32_t cost[SH_WAYS];
  int best[SH_MAX_WIDTH + 1];
} choices[SH_ALGORITHMS];

static uint64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The best of some tries: the others were interrupted, or met a cold cache. */
static uint32_t measured(const struct sh_way *way, int algorithm) {
  static const uint8_t sample[SAMPLE_BLOCKS * SH_BLOCK];
  uint32_t state[SH_MAX_WIDTH][8] = {{0}};
  uint32_t *states[SH_MAX_WIDTH];
  const uint8_t *data[SH_MAX_WIDTH];
  for (int lane = 0; lane < way->width; lane++) {
    states[lane] = state[lane];
    data[lane] = sample;
  }
  uint64_t best = UINT64_MAX;
  for (int i = 0; i < SAMPLES; i++) {
    uint64_t begin = nanoseconds();
    way->run[algorithm](states, data, SAMPLE_BLOCKS);
    uint64_t taken = nanoseconds() - begin;
    if (taken < best) best = taken;
  }
  uint64_t cost = best * 1000 / SAMPLE_BLOCKS;
  return cost == 0 ? 1 : cost > UINT32_MAX ? UINT32_MAX : (uint32_t)cost;
}

static int filled(int way, int count) { return count < sh_ways[way].width ? count : sh_ways[way].width; }

static void measure(int algorithm) {
  uint32_t ways = sh_processor_ways();
  uint32_t *cost = choices[algorithm].cost;
  for (int way = 0; way < SH_WAYS; way++) {
    if (ways >> way & 1) cost[way] = measured(&sh_ways[way], algorithm);
  }
  for (int count = 1; count <= SH_MAX_WIDTH; count++) {
    int best = -1;
    for (int way = 0; way < SH_WAYS; way++) {
      if (!(ways >> way & 1)) continue;
      if (best < 0 || (uint64_t)filled(way, count) * cost[best] > (uint64_t)filled(best, count) * cost[way]) best = way;
    }
    choices[algorithm].best[count] = best;
  }
}

/* Whoever comes first measures; the others have nothing better to do than to wait for it. */
static void be_known(int algorithm) {
  atomic_int *progress = &choices[algorithm].progress;
  if (atomic_load_explicit(progress, memory_order_acquire) == KNOWN) return;
  int expected = UNKNOWN;
  if (atomic_compare_exchange_strong(progress, &expected, BEING_MEASURED)) {
    measure(algorithm);
    atomic_store_explicit(progress, KNOWN, memory_order_release);
    return;
  }
  while (atomic_load_explicit(progress, memory_order_acquire) != KNOWN) sched_yield();
}

int sh_best_way(int algorithm, int count) {
  be_known(algorithm);
  return choices[algorithm].best[count < SH_MAX_WIDTH ? count : SH_MAX_WIDTH];
}

uint32_t sh_way_cost(int algorithm, int way) {
  be_known(algorithm);
  return choices[algorithm].cost[way];
}
