/* For a check that compiles a way for another processor than its own: the ways it may run, whatever it says. */
#include "../multihash.h"

uint32_t sh_processor_ways(void) { return SH_ASSUMED_WAYS; }
