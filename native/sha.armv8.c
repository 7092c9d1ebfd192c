/*
 * The SHA instructions of ARMv8. One stream waits for the result of each instruction; two or four fill the wait.
 * The loops over streams are unrolled: their number is a constant in each of the functions below.
 */
#include <arm_neon.h>

#include "multihash.h"

#define INLINE static inline __attribute__((always_inline))
#define EACH _Pragma("GCC unroll 4") for (int s = 0; s < streams; s++)

INLINE uint32x4_t load(const uint8_t *at) { return vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(at))); }

/* Four rounds of SHA-1; the words of four rounds are made four groups ahead, in the place of those that are used up. */
#define FOUR1(group, function, constant)                                                           \
  EACH {                                                                                           \
    uint32x4_t *m = message[s];                                                                    \
    if (group < 4) m[group] = load(data[s] + at + 16 * (group));                                     \
    uint32x4_t word = vaddq_u32(m[(group) & 3], vdupq_n_u32(constant));                            \
    uint32_t next = vsha1h_u32(vgetq_lane_u32(abcd[s], 0));                                        \
    abcd[s] = function(abcd[s], e[s], word);                                                       \
    e[s] = next;                                                                                   \
    if (group >= 3 && group < 19) {                                                                \
      uint32x4_t early = vsha1su0q_u32(m[((group) + 1) & 3], m[((group) + 2) & 3], m[((group) + 3) & 3]); \
      m[((group) + 1) & 3] = vsha1su1q_u32(early, m[(group) & 3]);                                 \
    }                                                                                              \
  }
#define FIVE1(group, function, constant) \
  FOUR1(group, function, constant)       \
  FOUR1(group + 1, function, constant)   \
  FOUR1(group + 2, function, constant)   \
  FOUR1(group + 3, function, constant)   \
  FOUR1(group + 4, function, constant)

INLINE void sha1_streams(int streams, uint32_t *const states[], const uint8_t *const data[], size_t blocks) {
  uint32x4_t abcd[4], message[4][4];
  uint32_t e[4];
  EACH {
    abcd[s] = vld1q_u32(states[s]);
    e[s] = states[s][4];
  }
  for (size_t at = 0; at < blocks * SH_BLOCK; at += SH_BLOCK) {
    uint32x4_t abcd_before[4];
    uint32_t e_before[4];
    EACH {
      abcd_before[s] = abcd[s];
      e_before[s] = e[s];
    }
    FIVE1(0, vsha1cq_u32, 0x5a827999u)
    FIVE1(5, vsha1pq_u32, 0x6ed9eba1u)
    FIVE1(10, vsha1mq_u32, 0x8f1bbcdcu)
    FIVE1(15, vsha1pq_u32, 0xca62c1d6u)
    EACH {
      abcd[s] = vaddq_u32(abcd[s], abcd_before[s]);
      e[s] += e_before[s];
    }
  }
  EACH {
    vst1q_u32(states[s], abcd[s]);
    states[s][4] = e[s];
  }
}

/* Four rounds of SHA-256. */
#define FOUR2(group)                                                                               \
  EACH {                                                                                           \
    uint32x4_t *m = message[s];                                                                    \
    if (group < 4) m[group] = load(data[s] + at + 16 * (group));                                     \
    uint32x4_t word = vaddq_u32(m[(group) & 3], vld1q_u32(sh_sha256_k + 4 * (group)));               \
    uint32x4_t first = abcd[s];                                                                    \
    abcd[s] = vsha256hq_u32(abcd[s], efgh[s], word);                                               \
    efgh[s] = vsha256h2q_u32(efgh[s], first, word);                                                \
    if (group >= 3 && group < 15) {                                                                \
      uint32x4_t early = vsha256su0q_u32(m[((group) + 1) & 3], m[((group) + 2) & 3]);              \
      m[((group) + 1) & 3] = vsha256su1q_u32(early, m[((group) + 3) & 3], m[(group) & 3]);         \
    }                                                                                              \
  }

INLINE void sha256_streams(int streams, uint32_t *const states[], const uint8_t *const data[], size_t blocks) {
  uint32x4_t abcd[4], efgh[4], message[4][4];
  EACH {
    abcd[s] = vld1q_u32(states[s]);
    efgh[s] = vld1q_u32(states[s] + 4);
  }
  for (size_t at = 0; at < blocks * SH_BLOCK; at += SH_BLOCK) {
    uint32x4_t abcd_before[4], efgh_before[4];
    EACH {
      abcd_before[s] = abcd[s];
      efgh_before[s] = efgh[s];
    }
    FOUR2(0) FOUR2(1) FOUR2(2) FOUR2(3) FOUR2(4) FOUR2(5) FOUR2(6) FOUR2(7)
    FOUR2(8) FOUR2(9) FOUR2(10) FOUR2(11) FOUR2(12) FOUR2(13) FOUR2(14) FOUR2(15)
    EACH {
      abcd[s] = vaddq_u32(abcd[s], abcd_before[s]);
      efgh[s] = vaddq_u32(efgh[s], efgh_before[s]);
    }
  }
  EACH {
    vst1q_u32(states[s], abcd[s]);
    vst1q_u32(states[s] + 4, efgh[s]);
  }
}

#define STREAMS(count)                                                                                   \
  void sh_sha1_arm_##count(uint32_t *const states[], const uint8_t *const data[], size_t blocks) {       \
    sha1_streams(count, states, data, blocks);                                                           \
  }                                                                                                      \
  void sh_sha256_arm_##count(uint32_t *const states[], const uint8_t *const data[], size_t blocks) {     \
    sha256_streams(count, states, data, blocks);                                                         \
  }

STREAMS(1)
STREAMS(2)
STREAMS(4)
