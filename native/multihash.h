/*
 * What the parts of the multihash share. A way is code that hashes some streams at the same time: `width` of them, a
 * lane each. All streams of a run advance by the same number of blocks of 64 bytes.
 */
#ifndef SWARMHAUL_MULTIHASH_H
#define SWARMHAUL_MULTIHASH_H

#include <stddef.h>
#include <stdint.h>

#define SH_BLOCK 64
#define SH_MAX_WIDTH 16

enum sh_algorithm { SH_SHA1 = 0, SH_SHA256 = 1, SH_ALGORITHMS };

/* Folds `blocks` blocks at data[i] into states[i], for each of `width` lanes. Data may be misaligned. */
typedef void sh_way_run(uint32_t *const states[], const uint8_t *const data[], size_t blocks);

/* The numbers are part of the interface: `src/native/multihash.ts` has their names. */
enum sh_way_id { SH_SHANI_1, SH_SHANI_2, SH_SHANI_4, SH_AVX2_8, SH_AVX512_16, SH_ARM_1, SH_ARM_2, SH_ARM_4, SH_WAYS };

struct sh_way {
  int width;
  sh_way_run *run[SH_ALGORITHMS];
};

/* All that this build has code for; `run` is null for the others. */
extern const struct sh_way sh_ways[SH_WAYS];

/* A bit for each way that this processor and this system can run. */
uint32_t sh_processor_ways(void);

sh_way_run sh_sha1_shani_1, sh_sha1_shani_2, sh_sha1_shani_4;
sh_way_run sh_sha256_shani_1, sh_sha256_shani_2, sh_sha256_shani_4;
sh_way_run sh_sha1_avx2_8, sh_sha256_avx2_8;
sh_way_run sh_sha1_avx512_16, sh_sha256_avx512_16;
sh_way_run sh_sha1_arm_1, sh_sha1_arm_2, sh_sha1_arm_4;
sh_way_run sh_sha256_arm_1, sh_sha256_arm_2, sh_sha256_arm_4;

extern const uint32_t sh_sha256_k[64];

#endif
