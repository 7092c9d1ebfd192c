/*
 * A message on its way through a lane: whatever ranges it is made of, it looks like runs of whole blocks, the last of
 * them with the padding of FIPS 180-4, 5.1.1.
 */
#ifndef SWARMHAUL_STREAM_H
#define SWARMHAUL_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "multihash.h"
#include "swarmhaul.h"

struct sh_stream {
  struct sh_message *message;
  const struct sh_range *range;
  const struct sh_range *end;
  /* Bytes of *range that are in runs given out before, or in this one. */
  uint64_t used;
  /* Bytes in no run yet. */
  uint64_t left;
  /* Of the whole message, for its padding. */
  uint64_t length;
  const uint8_t *run;
  size_t blocks;
  int is_padded;
  /* A block that is nowhere in one piece: of several ranges, or padding. */
  uint8_t joint[2 * SH_BLOCK];
};

/* Makes the state ready; the first run comes with `sh_stream_next`. */
void sh_stream_begin(struct sh_stream *stream, int algorithm, struct sh_message *message,
                     const struct sh_range *ranges);

/* The next run, in `run` and `blocks`; 0 when there is none. */
int sh_stream_next(struct sh_stream *stream);

/* Writes the digest, or what the next part of the message begins with. */
void sh_stream_end(struct sh_stream *stream, int algorithm);

/* Bytes of a message. -1: they do not fit it. */
int sh_message_length(const struct sh_message *message, const struct sh_range *ranges, uint64_t *length);

#endif
