/*
 * SHA-1 and SHA-256 of LANES streams, a lane of a vector for each. Written with the compiler's vectors, so that the
 * same lines become AVX2 for 8 lanes and AVX-512 for 16, and that the lines for 16 lanes can be tried on a machine
 * without AVX-512 as well. Included by a file that defines LANES and the names of the two functions, LANES_SHA1 and
 * LANES_SHA256.
 */
#include <string.h>

#include "multihash.h"

#define VECTOR_BYTES (LANES * 4)
typedef uint32_t words __attribute__((vector_size(VECTOR_BYTES)));
typedef uint64_t longs __attribute__((vector_size(VECTOR_BYTES)));
typedef uint8_t bytes __attribute__((vector_size(VECTOR_BYTES)));

#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 16")

/* Elements of a and b by number. GCC before 12 knows it by another name only. */
#if !defined OLD_SHUFFLE && (defined __clang__ || __GNUC__ >= 12)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (__typeof__(a)){__VA_ARGS__})
#endif

/*
 * Words 0, 1, 2, 3 of each 16 bytes of a and b: a0 b0 a1 b1, and a2 b2 a3 b3; the same with pairs of words; 16 bytes
 * from here and there.
 */
#if LANES == 8
#define LOW_WORDS(a, b) PICK(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH_WORDS(a, b) PICK(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define LOW_PAIRS(a, b) ((words)PICK((longs)(a), (longs)(b), 0, 4, 2, 6))
#define HIGH_PAIRS(a, b) ((words)PICK((longs)(a), (longs)(b), 1, 5, 3, 7))
#define LOW_HALVES(a, b) ((words)PICK((longs)(a), (longs)(b), 0, 1, 4, 5))
#define HIGH_HALVES(a, b) ((words)PICK((longs)(a), (longs)(b), 2, 3, 6, 7))
#elif LANES == 16
#define LOW_WORDS(a, b) PICK(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH_WORDS(a, b) PICK(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define LOW_PAIRS(a, b) ((words)PICK((longs)(a), (longs)(b), 0, 8, 2, 10, 4, 12, 6, 14))
#define HIGH_PAIRS(a, b) ((words)PICK((longs)(a), (longs)(b), 1, 9, 3, 11, 5, 13, 7, 15))
#define EVEN_QUARTERS(a, b) ((words)PICK((longs)(a), (longs)(b), 0, 1, 4, 5, 8, 9, 12, 13))
#define ODD_QUARTERS(a, b) ((words)PICK((longs)(a), (longs)(b), 2, 3, 6, 7, 10, 11, 14, 15))
#else
#error "LANES is 8 or 16"
#endif

/* Where there is no rotation, adding is done by more of a processor's units than shifting. */
INLINE words rotated(words x, int count) { return (count == 1 ? x + x : x << count) | x >> (32 - count); }

INLINE words swapped(words x) {
#define SWAP4(i) i + 3, i + 2, i + 1, i
#define SWAP16(i) SWAP4(i), SWAP4(i + 4), SWAP4(i + 8), SWAP4(i + 12)
  bytes b = (bytes)x;
#if LANES == 8
  return (words)PICK(b, b, SWAP16(0), SWAP16(16));
#else
  return (words)PICK(b, b, SWAP16(0), SWAP16(16), SWAP16(32), SWAP16(48));
#endif
}

INLINE words load(const uint8_t *at) {
  words x;
  memcpy(&x, at, sizeof x);
  return x;
}

/* From a row for each lane to a row for each word: rows[i] gets word i of all lanes. */
INLINE void transpose(words *rows) {
  words a[LANES], b[LANES];
  UNROLLED
  for (int i = 0; i < LANES; i += 2) {
    a[i] = LOW_WORDS(rows[i], rows[i + 1]);
    a[i + 1] = HIGH_WORDS(rows[i], rows[i + 1]);
  }
  UNROLLED
  for (int i = 0; i < LANES; i += 4) {
    b[i] = LOW_PAIRS(a[i], a[i + 2]);
    b[i + 1] = HIGH_PAIRS(a[i], a[i + 2]);
    b[i + 2] = LOW_PAIRS(a[i + 1], a[i + 3]);
    b[i + 3] = HIGH_PAIRS(a[i + 1], a[i + 3]);
  }
#if LANES == 8
  UNROLLED
  for (int i = 0; i < 4; i++) {
    rows[i] = LOW_HALVES(b[i], b[i + 4]);
    rows[i + 4] = HIGH_HALVES(b[i], b[i + 4]);
  }
#else
  /* b[4g + i] holds words i, 4 + i, 8 + i, 12 + i of lanes 4g to 4g + 3. */
  UNROLLED
  for (int i = 0; i < 4; i++) {
    words even_low = EVEN_QUARTERS(b[i], b[i + 4]), odd_low = ODD_QUARTERS(b[i], b[i + 4]);
    words even_high = EVEN_QUARTERS(b[i + 8], b[i + 12]), odd_high = ODD_QUARTERS(b[i + 8], b[i + 12]);
    rows[i] = EVEN_QUARTERS(even_low, even_high);
    rows[i + 8] = ODD_QUARTERS(even_low, even_high);
    rows[i + 4] = EVEN_QUARTERS(odd_low, odd_high);
    rows[i + 12] = ODD_QUARTERS(odd_low, odd_high);
  }
#endif
}

/* The 16 words of a block of every lane. */
INLINE void load_block(words *w, const uint8_t *const data[], size_t at) {
  UNROLLED
  for (int part = 0; part < 16 / LANES; part++) {
    words *rows = w + part * LANES;
    UNROLLED
    for (int lane = 0; lane < LANES; lane++) rows[lane] = load(data[lane] + at + (size_t)part * VECTOR_BYTES);
    transpose(rows);
    UNROLLED
    for (int i = 0; i < LANES; i++) rows[i] = swapped(rows[i]);
  }
}

INLINE void load_states(words *h, uint32_t *const states[], int count) {
  UNROLLED
  for (int i = 0; i < count; i++)
    UNROLLED
    for (int lane = 0; lane < LANES; lane++) h[i][lane] = states[lane][i];
}

INLINE void store_states(const words *h, uint32_t *const states[], int count) {
  UNROLLED
  for (int i = 0; i < count; i++)
    UNROLLED
    for (int lane = 0; lane < LANES; lane++) states[lane][i] = h[i][lane];
}

#define CHOICE(x, y, z) ((((y) ^ (z)) & (x)) ^ (z))
#define PARITY(x, y, z) ((x) ^ (y) ^ (z))
#define MAJORITY(x, y, z) (((x) & (y)) | (((x) | (y)) & (z)))

/* The message schedule of SHA-1, in the place of the word of 16 rounds ago. */
#define SCHEDULE1(t) \
  (w[(t) & 15] = rotated(w[((t) + 13) & 15] ^ w[((t) + 8) & 15] ^ w[((t) + 2) & 15] ^ w[(t) & 15], 1))
#define ROUND1(t, f, k, a, b, c, d, e)                                          \
  do {                                                                          \
    words word = (t) < 16 ? w[t] : SCHEDULE1(t);                                \
    e += word + k;                                                              \
    e += f(b, c, d);                                                            \
    e += rotated(a, 5);                                                         \
    b = rotated(b, 30);                                                         \
  } while (0)
#define FIVE1(t, f, k)              \
  ROUND1(t, f, k, a, b, c, d, e);     \
  ROUND1(t + 1, f, k, e, a, b, c, d); \
  ROUND1(t + 2, f, k, d, e, a, b, c); \
  ROUND1(t + 3, f, k, c, d, e, a, b); \
  ROUND1(t + 4, f, k, b, c, d, e, a)
#define TWENTY1(t, f, k) \
  FIVE1(t, f, k);          \
  FIVE1(t + 5, f, k);      \
  FIVE1(t + 10, f, k);     \
  FIVE1(t + 15, f, k)

void LANES_SHA1(uint32_t *const states[], const uint8_t *const data[], size_t blocks) {
  const words zero = {0};
  const words k0 = zero + 0x5a827999u, k1 = zero + 0x6ed9eba1u, k2 = zero + 0x8f1bbcdcu, k3 = zero + 0xca62c1d6u;
  words h[5], w[16];
  load_states(h, states, 5);
  for (size_t block = 0; block < blocks; block++) {
    load_block(w, data, block * SH_BLOCK);
    words a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    TWENTY1(0, CHOICE, k0);
    TWENTY1(20, PARITY, k1);
    TWENTY1(40, MAJORITY, k2);
    TWENTY1(60, PARITY, k3);
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
  }
  store_states(h, states, 5);
}

#define BIG0(x) (rotated(x, 30) ^ rotated(x, 19) ^ rotated(x, 10))
#define BIG1(x) (rotated(x, 26) ^ rotated(x, 21) ^ rotated(x, 7))
#define SMALL0(x) (rotated(x, 25) ^ rotated(x, 14) ^ ((x) >> 3))
#define SMALL1(x) (rotated(x, 15) ^ rotated(x, 13) ^ ((x) >> 10))
#define SCHEDULE2(t) \
  (w[(t) & 15] += SMALL1(w[((t) + 14) & 15]) + w[((t) + 9) & 15] + SMALL0(w[((t) + 1) & 15]))
#define ROUND2(t, a, b, c, d, e, f, g, h)                                                          \
  do {                                                                                             \
    words t1 = h + BIG1(e) + CHOICE(e, f, g) + sh_sha256_k[from + (t)] + (from == 0 ? w[t] : SCHEDULE2(t)); \
    d += t1;                                                                                       \
    h = t1 + BIG0(a) + MAJORITY(a, b, c);                                                          \
  } while (0)
#define EIGHT2(t)                           \
  ROUND2(t, a, b, c, d, e, f, g, h);          \
  ROUND2(t + 1, h, a, b, c, d, e, f, g);      \
  ROUND2(t + 2, g, h, a, b, c, d, e, f);      \
  ROUND2(t + 3, f, g, h, a, b, c, d, e);      \
  ROUND2(t + 4, e, f, g, h, a, b, c, d);      \
  ROUND2(t + 5, d, e, f, g, h, a, b, c);      \
  ROUND2(t + 6, c, d, e, f, g, h, a, b);      \
  ROUND2(t + 7, b, c, d, e, f, g, h, a)

void LANES_SHA256(uint32_t *const states[], const uint8_t *const data[], size_t blocks) {
  words s[8], w[16];
  load_states(s, states, 8);
  for (size_t block = 0; block < blocks; block++) {
    load_block(w, data, block * SH_BLOCK);
    words a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
    for (int from = 0; from < 64; from += 16) {
      EIGHT2(0);
      EIGHT2(8);
    }
    s[0] += a;
    s[1] += b;
    s[2] += c;
    s[3] += d;
    s[4] += e;
    s[5] += f;
    s[6] += g;
    s[7] += h;
  }
  store_states(s, states, 8);
}
