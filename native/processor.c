/* Which ways of hashing there is code for, and which of them this processor can run and this system lets it run. */
#include "multihash.h"

#if defined(__x86_64__)
#include <cpuid.h>

const struct sh_way sh_ways[SH_WAYS] = {
    [SH_SHANI_1] = {1, {sh_sha1_shani_1, sh_sha256_shani_1}},
    [SH_SHANI_2] = {2, {sh_sha1_shani_2, sh_sha256_shani_2}},
    [SH_SHANI_4] = {4, {sh_sha1_shani_4, sh_sha256_shani_4}},
    [SH_AVX2_8] = {8, {sh_sha1_avx2_8, sh_sha256_avx2_8}},
    [SH_AVX512_16] = {16, {sh_sha1_avx512_16, sh_sha256_avx512_16}},
};

/* Which registers the system keeps when it changes between threads: a processor's word alone is not enough. */
static uint32_t kept_registers(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

#define XMM_YMM 0x06u
#define OPMASK_ZMM 0xe0u

uint32_t sh_processor_ways(void) {
  uint32_t eax, ebx, ecx, edx, features;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
  features = ecx;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;
  uint32_t kept = (features & bit_OSXSAVE) ? kept_registers() : 0;
  uint32_t ways = 0;
  int has_ymm = (features & bit_AVX) && (kept & XMM_YMM) == XMM_YMM;
  int has_zmm = has_ymm && (kept & OPMASK_ZMM) == OPMASK_ZMM;
  uint32_t wide = bit_AVX512F | bit_AVX512BW | bit_AVX512VL;
  if ((ebx & bit_SHA) && (features & bit_SSSE3) && (features & bit_SSE4_1)) {
    ways |= 1u << SH_SHANI_1 | 1u << SH_SHANI_2 | 1u << SH_SHANI_4;
  }
  if (has_ymm && (ebx & bit_AVX2)) ways |= 1u << SH_AVX2_8;
  if (has_zmm && (ebx & bit_AVX2) && (ebx & wide) == wide) ways |= 1u << SH_AVX512_16;
  return ways;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>

#define HWCAP_SHA1_SHA2 (1ul << 5 | 1ul << 6)

const struct sh_way sh_ways[SH_WAYS] = {
    [SH_ARM_1] = {1, {sh_sha1_arm_1, sh_sha256_arm_1}},
    [SH_ARM_2] = {2, {sh_sha1_arm_2, sh_sha256_arm_2}},
    [SH_ARM_4] = {4, {sh_sha1_arm_4, sh_sha256_arm_4}},
};

uint32_t sh_processor_ways(void) {
  if ((getauxval(AT_HWCAP) & HWCAP_SHA1_SHA2) != HWCAP_SHA1_SHA2) return 0;
  return 1u << SH_ARM_1 | 1u << SH_ARM_2 | 1u << SH_ARM_4;
}

#else

const struct sh_way sh_ways[SH_WAYS];

uint32_t sh_processor_ways(void) { return 0; }

#endif
