/*
 * The SHA instructions of x86-64. One stream waits for the result of each instruction; two or four fill the wait.
 * The loops over streams are unrolled: STREAMS is a constant in each of the functions below.
 */
#include <immintrin.h>

#include "multihash.h"

#define INLINE static inline __attribute__((always_inline))
#define EACH _Pragma("GCC unroll 4") for (int s = 0; s < streams; s++)

INLINE __m128i load(const uint8_t *at) { return _mm_loadu_si128((const __m128i *)at); }

/* Four rounds of SHA-1. Four words of the schedule are ready four groups later: xor, and msg2 with the next. */
#define FOUR1(group, function)                                                                             \
  EACH {                                                                                                   \
    __m128i *m = message[s];                                                                               \
    if (group < 4) m[group] = _mm_shuffle_epi8(load(data[s] + at + 16 * (group)), order);                    \
    __m128i next = abcd[s];                                                                                \
    e[s] = group == 0 ? _mm_add_epi32(e[s], m[0]) : _mm_sha1nexte_epu32(e[s], m[(group) & 3]);             \
    abcd[s] = _mm_sha1rnds4_epu32(abcd[s], e[s], function);                                                \
    e[s] = next;                                                                                           \
    if (group >= 3 && group < 19) m[((group) + 1) & 3] = _mm_sha1msg2_epu32(m[((group) + 1) & 3], m[(group) & 3]); \
    if (group >= 1 && group < 17) m[((group) + 3) & 3] = _mm_sha1msg1_epu32(m[((group) + 3) & 3], m[(group) & 3]); \
    if (group >= 2 && group < 18) m[((group) + 2) & 3] = _mm_xor_si128(m[((group) + 2) & 3], m[(group) & 3]);      \
  }

INLINE void sha1_streams(int streams, uint32_t *const states[], const uint8_t *const data[], size_t blocks) {
  const __m128i order = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
  __m128i abcd[4], e[4], message[4][4];
  EACH {
    abcd[s] = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)states[s]), 0x1b);
    e[s] = _mm_set_epi32((int)states[s][4], 0, 0, 0);
  }
  for (size_t at = 0; at < blocks * SH_BLOCK; at += SH_BLOCK) {
    __m128i abcd_before[4], e_before[4];
    EACH {
      abcd_before[s] = abcd[s];
      e_before[s] = e[s];
    }
    FOUR1(0, 0) FOUR1(1, 0) FOUR1(2, 0) FOUR1(3, 0) FOUR1(4, 0)
    FOUR1(5, 1) FOUR1(6, 1) FOUR1(7, 1) FOUR1(8, 1) FOUR1(9, 1)
    FOUR1(10, 2) FOUR1(11, 2) FOUR1(12, 2) FOUR1(13, 2) FOUR1(14, 2)
    FOUR1(15, 3) FOUR1(16, 3) FOUR1(17, 3) FOUR1(18, 3) FOUR1(19, 3)
    EACH {
      e[s] = _mm_sha1nexte_epu32(e[s], e_before[s]);
      abcd[s] = _mm_add_epi32(abcd[s], abcd_before[s]);
    }
  }
  EACH {
    _mm_storeu_si128((__m128i *)states[s], _mm_shuffle_epi32(abcd[s], 0x1b));
    states[s][4] = (uint32_t)_mm_extract_epi32(e[s], 3);
  }
}

/* Four rounds of SHA-256. */
#define FOUR2(group)                                                                                   \
  EACH {                                                                                               \
    __m128i *m = message[s];                                                                           \
    if (group < 4) m[group] = _mm_shuffle_epi8(load(data[s] + at + 16 * (group)), order);                \
    __m128i word = _mm_add_epi32(m[(group) & 3], _mm_load_si128((const __m128i *)sh_sha256_k + group)); \
    cdgh[s] = _mm_sha256rnds2_epu32(cdgh[s], abef[s], word);                                           \
    if (group >= 3 && group < 15) {                                                                    \
      __m128i shifted = _mm_alignr_epi8(m[(group) & 3], m[((group) + 3) & 3], 4);                      \
      __m128i sum = _mm_add_epi32(m[((group) + 1) & 3], shifted);                                      \
      m[((group) + 1) & 3] = _mm_sha256msg2_epu32(sum, m[(group) & 3]);                                \
    }                                                                                                  \
    abef[s] = _mm_sha256rnds2_epu32(abef[s], cdgh[s], _mm_shuffle_epi32(word, 0x0e));                  \
    if (group >= 1 && group < 13) m[((group) + 3) & 3] = _mm_sha256msg1_epu32(m[((group) + 3) & 3], m[(group) & 3]); \
  }

INLINE void sha256_streams(int streams, uint32_t *const states[], const uint8_t *const data[], size_t blocks) {
  const __m128i order = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i abef[4], cdgh[4], message[4][4];
  EACH {
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)states[s]), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(states[s] + 4)), 0x1b);
    abef[s] = _mm_alignr_epi8(cdab, efgh, 8);
    cdgh[s] = _mm_blend_epi16(efgh, cdab, 0xf0);
  }
  for (size_t at = 0; at < blocks * SH_BLOCK; at += SH_BLOCK) {
    __m128i abef_before[4], cdgh_before[4];
    EACH {
      abef_before[s] = abef[s];
      cdgh_before[s] = cdgh[s];
    }
    FOUR2(0) FOUR2(1) FOUR2(2) FOUR2(3) FOUR2(4) FOUR2(5) FOUR2(6) FOUR2(7)
    FOUR2(8) FOUR2(9) FOUR2(10) FOUR2(11) FOUR2(12) FOUR2(13) FOUR2(14) FOUR2(15)
    EACH {
      abef[s] = _mm_add_epi32(abef[s], abef_before[s]);
      cdgh[s] = _mm_add_epi32(cdgh[s], cdgh_before[s]);
    }
  }
  EACH {
    __m128i feba = _mm_shuffle_epi32(abef[s], 0x1b);
    __m128i dchg = _mm_shuffle_epi32(cdgh[s], 0xb1);
    _mm_storeu_si128((__m128i *)states[s], _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(states[s] + 4), _mm_alignr_epi8(dchg, feba, 8));
  }
}

#define STREAMS(count)                                                                                       \
  void sh_sha1_shani_##count(uint32_t *const states[], const uint8_t *const data[], size_t blocks) {         \
    sha1_streams(count, states, data, blocks);                                                               \
  }                                                                                                          \
  void sh_sha256_shani_##count(uint32_t *const states[], const uint8_t *const data[], size_t blocks) {       \
    sha256_streams(count, states, data, blocks);                                                             \
  }

STREAMS(1)
STREAMS(2)
STREAMS(4)
