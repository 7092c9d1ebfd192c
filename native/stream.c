#include "stream.h"

#include <string.h>

#define ZERO_BLOCKS 256

static const uint8_t zeros[ZERO_BLOCKS * SH_BLOCK];

/* FIPS 180-4, 5.3. */
static const uint32_t initial[SH_ALGORITHMS][8] = {
    {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0},
    {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
};

int sh_message_length(const struct sh_message *message, const struct sh_range *ranges, uint64_t *length) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < message->range_count; i++) {
    if (__builtin_add_overflow(sum, ranges[i].length_bytes, &sum)) return -1;
  }
  *length = sum;
  uint64_t before = message->flags & SH_FIRST ? 0 : message->before_bytes;
  /* Its length in bits has 64 bits in the padding. */
  if (__builtin_add_overflow(sum, before, &sum) || sum >> 61 != 0 || before % SH_BLOCK != 0) return -1;
  return message->flags & SH_LAST || sum % SH_BLOCK == 0 ? 0 : -1;
}

void sh_stream_begin(struct sh_stream *stream, int algorithm, struct sh_message *message,
                     const struct sh_range *ranges) {
  if (message->flags & SH_FIRST) {
    memcpy(message->state, initial[algorithm], sizeof message->state);
    message->before_bytes = 0;
  }
  stream->message = message;
  stream->range = ranges;
  stream->end = ranges + message->range_count;
  stream->used = 0;
  sh_message_length(message, ranges, &stream->left);
  stream->length = message->before_bytes + stream->left;
  stream->blocks = 0;
  stream->is_padded = !(message->flags & SH_LAST);
}

/* Blocks that lie in one range. */
static int take_run(struct sh_stream *stream) {
  uint64_t blocks = (stream->range->length_bytes - stream->used) / SH_BLOCK;
  if (stream->range->address == 0) {
    stream->run = zeros;
    if (blocks > ZERO_BLOCKS) blocks = ZERO_BLOCKS;
  } else {
    stream->run = (const uint8_t *)(uintptr_t)(stream->range->address + stream->used);
  }
  stream->blocks = (size_t)blocks;
  stream->used += blocks * SH_BLOCK;
  stream->left -= blocks * SH_BLOCK;
  return 1;
}

/* Puts up to a block together. Returns its bytes. */
static size_t join(struct sh_stream *stream) {
  size_t have = 0;
  while (have < SH_BLOCK && stream->range < stream->end) {
    uint64_t here = stream->range->length_bytes - stream->used;
    size_t part = here < SH_BLOCK - have ? (size_t)here : SH_BLOCK - have;
    if (stream->range->address == 0) memset(stream->joint + have, 0, part);
    else memcpy(stream->joint + have, (const uint8_t *)(uintptr_t)(stream->range->address + stream->used), part);
    have += part;
    stream->used += part;
    if (part == here) {
      stream->range++;
      stream->used = 0;
    }
  }
  stream->left -= have;
  return have;
}

static void pad(struct sh_stream *stream, size_t have) {
  size_t size = have + 1 + 8 <= SH_BLOCK ? SH_BLOCK : 2 * SH_BLOCK;
  uint64_t bits = stream->length * 8;
  stream->joint[have] = 0x80;
  memset(stream->joint + have + 1, 0, size - have - 1);
  for (int i = 1; bits != 0; i++, bits >>= 8) stream->joint[size - (size_t)i] = (uint8_t)bits;
  stream->blocks = size / SH_BLOCK;
  stream->is_padded = 1;
}

int sh_stream_next(struct sh_stream *stream) {
  while (stream->range < stream->end && stream->used == stream->range->length_bytes) {
    stream->range++;
    stream->used = 0;
  }
  if (stream->range < stream->end && stream->range->length_bytes - stream->used >= SH_BLOCK) return take_run(stream);
  size_t have = join(stream);
  stream->run = stream->joint;
  stream->blocks = 1;
  if (have == SH_BLOCK) return 1;
  if (stream->is_padded) return 0;
  pad(stream, have);
  return 1;
}

void sh_stream_end(struct sh_stream *stream, int algorithm) {
  struct sh_message *message = stream->message;
  message->before_bytes = stream->length;
  if (!(message->flags & SH_LAST)) return;
  int words = algorithm == SH_SHA1 ? 5 : 8;
  for (int i = 0; i < words; i++) {
    uint32_t word = message->state[i];
    uint8_t digest[4] = {(uint8_t)(word >> 24), (uint8_t)(word >> 16), (uint8_t)(word >> 8), (uint8_t)word};
    memcpy(&message->state[i], digest, 4);
  }
}
