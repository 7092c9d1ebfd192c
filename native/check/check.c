/*
 * Checks every way of hashing that this program was built with against a plain one, and says what it did: for
 * processors that Node is not run on here, and for vectors wider than this machine's. Ends with 1 at the first
 * difference.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../multihash.h"
#include "../swarmhaul.h"

#define MOST 48
#define MOST_RANGES 8
#define MEMORY 65536

static uint8_t memory[MEMORY + 64];
static uint64_t dice = 88172645463325252u;

static uint32_t roll(uint32_t below) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return (uint32_t)(dice >> 33) % below;
}

static uint32_t left(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void plain_sha1(uint32_t *h, const uint8_t *block) {
  uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
  for (int t = 0; t < 80; t++) {
    const uint8_t *p = block + 4 * t;
    w[t] = t < 16 ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
                  : left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t f = t < 20 ? (b & c) | (~b & d) : t < 40 || t >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
    uint32_t k = t < 20 ? 0x5a827999 : t < 40 ? 0x6ed9eba1 : t < 60 ? 0x8f1bbcdc : 0xca62c1d6;
    uint32_t sum = left(a, 5) + f + e + k + w[t];
    e = d, d = c, c = left(b, 30), b = a, a = sum;
  }
  h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

static void plain_sha256(uint32_t *h, const uint8_t *block) {
  uint32_t w[64], s[8];
  memcpy(s, h, sizeof s);
  for (int t = 0; t < 64; t++) {
    const uint8_t *p = block + 4 * t;
    if (t < 16) w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    else {
      uint32_t x = w[t - 15], y = w[t - 2];
      w[t] = w[t - 16] + (left(x, 25) ^ left(x, 14) ^ x >> 3) + w[t - 7] + (left(y, 15) ^ left(y, 13) ^ y >> 10);
    }
    uint32_t t1 = s[7] + (left(s[4], 26) ^ left(s[4], 21) ^ left(s[4], 7)) + ((s[4] & s[5]) ^ (~s[4] & s[6]));
    t1 += sh_sha256_k[t] + w[t];
    uint32_t t2 = (left(s[0], 30) ^ left(s[0], 19) ^ left(s[0], 10)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
    memmove(s + 1, s, 7 * sizeof *s);
    s[4] += t1;
    s[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) h[i] += s[i];
}

struct plain {
  uint32_t h[8];
  uint8_t block[64];
  uint64_t length;
};

static void plain_add(struct plain *p, int algorithm, uint8_t byte) {
  p->block[p->length++ % 64] = byte;
  if (p->length % 64 == 0) (algorithm == SH_SHA1 ? plain_sha1 : plain_sha256)(p->h, p->block);
}

static void plain_digest(int algorithm, const struct sh_range *ranges, uint32_t count, uint8_t *digest) {
  struct plain p = {
      .h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
  static const uint32_t first[8] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  if (algorithm == SH_SHA1) memcpy(p.h, first, sizeof first);
  for (uint32_t i = 0; i < count; i++) {
    const uint8_t *at = (const uint8_t *)(uintptr_t)ranges[i].address;
    for (uint64_t k = 0; k < ranges[i].length_bytes; k++) plain_add(&p, algorithm, at == NULL ? 0 : at[k]);
  }
  uint64_t bits = p.length * 8;
  plain_add(&p, algorithm, 0x80);
  while (p.length % 64 != 56) plain_add(&p, algorithm, 0);
  for (int i = 7; i >= 0; i--) plain_add(&p, algorithm, (uint8_t)(bits >> 8 * i));
  for (int i = 0; i < 8; i++)
    for (int k = 0; k < 4; k++) digest[4 * i + k] = (uint8_t)(p.h[i] >> (24 - 8 * k));
}

static struct sh_message messages[MOST];
static struct sh_range ranges[MOST * MOST_RANGES];

/* Hashes what was put together by this way and plainly. */
static void compare(const char *what, int algorithm, int way, int count, int range_count) {
  int result = sh_hash(algorithm, messages, count, ranges, range_count, way);
  const struct sh_range *own = ranges;
  for (int i = 0; i < count; i++) {
    uint8_t digest[32];
    plain_digest(algorithm, own, messages[i].range_count, digest);
    own += messages[i].range_count;
    if (result == 0 && memcmp(digest, messages[i].state, algorithm == SH_SHA1 ? 20 : 32) == 0) continue;
    printf("%s: algorithm %d, way %d: message %d of %d is wrong (%d)\n", what, algorithm, way, i, count, result);
    exit(1);
  }
}

static void whole(int i, uint32_t range_count) {
  messages[i] = (struct sh_message){.range_count = range_count, .flags = SH_FIRST | SH_LAST};
}

static void lengths(int algorithm, int way) {
  for (uint32_t length = 0; length <= 300; length += MOST) {
    for (int i = 0; i < MOST; i++) {
      whole(i, 1);
      ranges[i] = (struct sh_range){(uint64_t)(uintptr_t)(memory + (length + i) % 61), length + i};
    }
    compare("lengths", algorithm, way, MOST, MOST);
  }
}

static void cuts(int algorithm, int way) {
  for (int turn = 0; turn < 12; turn++) {
    int count = 1 + (int)roll(MOST), used = 0;
    uint32_t longest = turn % 2 ? 200 : 2000;
    for (int i = 0; i < count; i++) {
      whole(i, roll(MOST_RANGES));
      for (uint32_t k = 0; k < messages[i].range_count; k++) {
        uint64_t address = roll(5) == 0 ? 0 : (uint64_t)(uintptr_t)(memory + roll(MEMORY - longest));
        ranges[used++] = (struct sh_range){address, roll(longest)};
      }
    }
    compare("cuts", algorithm, way, count, used);
  }
}

/* A digest that others have published, so that a mistake in the plain code above is none of the ways'. */
static void vector(int algorithm, int way) {
  static const uint8_t wanted[2][4] = {{0xa9, 0x99, 0x3e, 0x36}, {0xba, 0x78, 0x16, 0xbf}};
  static const char text[] = "abc";
  whole(0, 1);
  ranges[0] = (struct sh_range){(uint64_t)(uintptr_t)text, 3};
  compare("vector", algorithm, way, 1, 1);
  if (memcmp(messages[0].state, wanted[algorithm], 4) == 0) return;
  printf("algorithm %d: not the digest of FIPS 180\n", algorithm);
  exit(1);
}

int main(void) {
  for (int i = 0; i < MEMORY; i++) memory[i] = (uint8_t)roll(256);
  for (int algorithm = 0; algorithm < SH_ALGORITHMS; algorithm++) {
    uint32_t ways = (uint32_t)sh_hash_ways(algorithm);
    for (int way = ways == 0 ? 0 : -1; way < SH_WAYS; way++) {
      if (way >= 0 && !(ways >> way & 1)) continue;
      vector(algorithm, way);
      lengths(algorithm, way);
      cuts(algorithm, way);
    }
    printf("%s ways %x good\n", algorithm == SH_SHA1 ? "sha1" : "sha256", (unsigned)ways);
  }
  return 0;
}
