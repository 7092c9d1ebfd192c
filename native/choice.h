/* The fastest way for a number of messages, by a measurement of some hundred microseconds, made once in a process. */
#ifndef SWARMHAUL_CHOICE_H
#define SWARMHAUL_CHOICE_H

#include "multihash.h"

/* The fastest way for `count` messages (at least 1); its number, or -1 when there is none. */
int sh_best_way(int algorithm, int count);

/* Picoseconds that a way takes for a block of each of its lanes. Of one that can be run. */
uint32_t sh_way_cost(int algorithm, int way);

#endif
