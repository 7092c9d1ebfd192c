/* Sixteen lanes of AVX-512. */
#define LANES 16
#define LANES_SHA1 sh_sha1_avx512_16
#define LANES_SHA256 sh_sha256_avx512_16
#include "lanes.h"
