/* Eight lanes of AVX2. */
#define LANES 8
#define LANES_SHA1 sh_sha1_avx2_8
#define LANES_SHA256 sh_sha256_avx2_8
#include "lanes.h"
