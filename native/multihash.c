/*
 * SHA-1 and SHA-256 of many messages. Some of them are under way at a time; each round hashes as many blocks of as many
 * of them as the fastest way has lanes, the longest first, so that unequal ones end together. A lane that is left over
 * repeats another one for nothing.
 */
#include <errno.h>

#include "choice.h"
#include "multihash.h"
#include "stream.h"
#include "swarmhaul.h"

/* Two for each lane of the widest way. */
#define UNDER_WAY (2 * SH_MAX_WIDTH)
/* While more are under way than there are lanes, a round ends here and the longest are chosen anew: 16 KiB of each. */
#define ROUND_BLOCKS 256

struct call {
  int algorithm;
  int way;
  struct sh_message *next;
  struct sh_message *end;
  const struct sh_range *ranges;
  int active;
  struct sh_stream *active_streams[UNDER_WAY];
  struct sh_stream streams[UNDER_WAY];
};

/* The next message that has anything to hash takes this place. */
static int admit(struct call *call, struct sh_stream *stream) {
  while (call->next < call->end) {
    struct sh_message *message = call->next++;
    sh_stream_begin(stream, call->algorithm, message, call->ranges);
    call->ranges += message->range_count;
    if (sh_stream_next(stream)) return 1;
    sh_stream_end(stream, call->algorithm);
  }
  return 0;
}

static uint64_t unhashed(const struct sh_stream *stream) { return stream->left + stream->blocks * SH_BLOCK; }

/* The longest `width` of the active ones come first. */
static void sort_out(struct call *call, int width) {
  struct sh_stream **streams = call->active_streams;
  for (int place = 0; place < width; place++) {
    int longest = place;
    for (int i = place + 1; i < call->active; i++) {
      if (unhashed(streams[i]) > unhashed(streams[longest])) longest = i;
    }
    struct sh_stream *found = streams[longest];
    streams[longest] = streams[place];
    streams[place] = found;
  }
}

/* Hashes some blocks of the first `lanes` active streams. Returns how many. */
static size_t hash_round(struct call *call, const struct sh_way *way, int lanes) {
  uint32_t *states[SH_MAX_WIDTH];
  const uint8_t *data[SH_MAX_WIDTH];
  uint32_t nobody[8] = {0};
  size_t blocks = call->active > lanes ? ROUND_BLOCKS : SIZE_MAX;
  for (int lane = 0; lane < lanes; lane++) {
    struct sh_stream *stream = call->active_streams[lane];
    states[lane] = stream->message->state;
    data[lane] = stream->run;
    if (stream->blocks < blocks) blocks = stream->blocks;
  }
  for (int lane = lanes; lane < way->width; lane++) {
    states[lane] = nobody;
    data[lane] = data[0];
  }
  way->run[call->algorithm](states, data, blocks);
  return blocks;
}

/* Takes the hashed blocks off the first `lanes` streams; those that end give their places to the next messages. */
static void advance(struct call *call, int lanes, size_t blocks) {
  for (int lane = lanes - 1; lane >= 0; lane--) {
    struct sh_stream *stream = call->active_streams[lane];
    stream->run += blocks * SH_BLOCK;
    stream->blocks -= blocks;
    if (stream->blocks > 0 || sh_stream_next(stream)) continue;
    sh_stream_end(stream, call->algorithm);
    if (!admit(call, stream)) call->active_streams[lane] = call->active_streams[--call->active];
  }
}

static void hash_all(struct call *call) {
  for (int i = 0; i < UNDER_WAY && admit(call, &call->streams[i]); i++) {
    call->active_streams[call->active++] = &call->streams[i];
  }
  while (call->active > 0) {
    int number = call->way >= 0 ? call->way : sh_best_way(call->algorithm, call->active);
    const struct sh_way *way = &sh_ways[number];
    int lanes = call->active < way->width ? call->active : way->width;
    if (call->active > lanes) sort_out(call, lanes);
    advance(call, lanes, hash_round(call, way, lanes));
  }
}

int32_t sh_hash_ways(int32_t algorithm) {
  return algorithm == SH_SHA1 || algorithm == SH_SHA256 ? (int32_t)sh_processor_ways() : 0;
}

int32_t sh_hash_rate(int32_t algorithm, int32_t count) {
  if (sh_hash_ways(algorithm) == 0 || count < 1) return 0;
  int way = sh_best_way(algorithm, count);
  int lanes = count < sh_ways[way].width ? count : sh_ways[way].width;
  return (int32_t)((uint64_t)lanes * SH_BLOCK * 1000000 / sh_way_cost(algorithm, way));
}

int32_t sh_hash(int32_t algorithm, void *messages, int32_t count, const void *ranges, int32_t range_count,
                int32_t way) {
  uint32_t ways = (uint32_t)sh_hash_ways(algorithm);
  if (count < 0 || range_count < 0) return -EINVAL;
  if (way >= SH_WAYS || (way < 0 ? ways == 0 : !(ways >> way & 1))) return -ENOSYS;
  struct call call = {.algorithm = algorithm, .way = way, .next = messages, .ranges = ranges};
  call.end = call.next + count;
  uint64_t used = 0;
  for (const struct sh_message *message = call.next; message < call.end; message++) {
    uint64_t length;
    if (message->range_count > (uint64_t)range_count - used) return -EINVAL;
    if (sh_message_length(message, call.ranges + used, &length) < 0) return -EINVAL;
    used += message->range_count;
  }
  hash_all(&call);
  return 0;
}
