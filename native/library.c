/* What the library says about itself. */
#include "swarmhaul.h"

int32_t sh_interface(void) { return SH_INTERFACE; }
