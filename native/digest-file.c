/*
 * Pieces of one file, hashed side by side. What is in memory already is hashed where it lies, mapped: to copy it takes
 * half as long as to hash it. The rest is read in small steps, so that it is still in the processor's cache when it is
 * hashed.
 *
 * A file that is cut off meanwhile: pages behind its new end are zeros of the guard, which are counted; the rest of the
 * page in which it ends are zeros without a word, so its length is asked for, before and after. Then the read says what
 * is wrong. Cut off and made longer again in between, the digest is another one, and never that of the data.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "multihash.h"
#include "swarmhaul.h"

/* What a call may hash side by side; whoever has more calls again. */
#define MOST_PIECES 64

/* More is not mapped at once. */
#define MAPPED_BYTES (64u << 20)
#define LOOK_BYTES (256u << 10)

static const uint32_t digest_bytes[SH_ALGORITHMS] = {20, 32};

/* All of it, or an errno. */
static int read_fully(int32_t fd, uint8_t *target, uint64_t length, uint64_t offset) {
  for (uint64_t at = 0; at < length;) {
    ssize_t count = pread(fd, target + at, length - at, (off_t)(offset + at));
    if (count == 0) return ENODATA;
    if (count > 0) at += (uint64_t)count;
    else if (errno != EINTR) return errno;
  }
  return 0;
}

struct task {
  int32_t algorithm;
  int32_t fd;
  uint64_t begin;
  uint64_t length;
  uint64_t piece_length;
  uint32_t count;
  struct sh_message *messages;
  struct sh_range *ranges;
};

/* Where piece `i` ends: only the last may be shorter than the others. */
static uint64_t end_of(const struct task *task, uint32_t i) {
  uint64_t end = (i + 1) * task->piece_length;
  return end < task->length ? end : task->length;
}

/* A page of each stretch is asked for: to look at all of them takes longer than to map them. */
static int is_in_memory(uint8_t *memory, size_t length) {
  uint8_t page;
  for (size_t at = 0; at < length; at += LOOK_BYTES) {
    if (mincore(memory + at, 1, &page) != 0 || !(page & 1)) return 0;
  }
  return mincore(memory + length - 1 - (length - 1) % (size_t)sysconf(_SC_PAGESIZE), 1, &page) == 0 && page & 1;
}

static int is_long_enough(const struct task *task) {
  off_t end = lseek(task->fd, 0, SEEK_END);
  return end >= 0 && (uint64_t)end >= task->begin + task->length;
}

/* 1: done; 0: this is not to be hashed where it lies. */
static int hash_mapped(const struct task *task, uint8_t *memory, size_t length, uint64_t before) {
  if (!is_in_memory(memory, length)) return 0;
  int32_t window = sh_guard_add((uintptr_t)memory, length);
  if (window < 0) return 0;
  for (uint32_t i = 0; i < task->count; i++) {
    uint64_t first = i * task->piece_length;
    task->messages[i].range_count = 1;
    task->messages[i].flags = SH_FIRST | SH_LAST;
    task->ranges[i] = (struct sh_range){(uintptr_t)memory + before + first, end_of(task, i) - first};
  }
  int32_t count = (int32_t)task->count;
  int is_done = sh_hash(task->algorithm, task->messages, count, task->ranges, count, -1) == 0;
  /* Cut off meanwhile: what was hashed are zeros. */
  if (sh_guard_faults(window) != 0 || !is_long_enough(task)) is_done = 0;
  sh_guard_remove(window);
  return is_done;
}

/* As `hash_mapped`. */
static int hash_in_place(const struct task *task) {
  uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  uint64_t before = task->begin % page;
  size_t length = (size_t)((before + task->length + page - 1) / page * page);
  /* Without the guard a file that is cut off would end the process. */
  if (length > MAPPED_BYTES || !is_long_enough(task) || sh_guard_install() != 0) return 0;
  void *memory = mmap(NULL, length, PROT_READ, MAP_SHARED, task->fd, (off_t)(task->begin - before));
  if (memory == MAP_FAILED) return 0;
  int is_done = hash_mapped(task, memory, length, before);
  munmap(memory, length);
  return is_done;
}

/* Reads the next `step` bytes of every piece that has so many, and hashes them. 0, or an errno, negative. */
static int32_t hash_step(const struct task *task, uint64_t at, uint64_t step, uint8_t *scratch) {
  int32_t running = 0;
  for (uint32_t i = 0; i < task->count; i++) {
    uint64_t offset = i * task->piece_length + at;
    uint64_t end = end_of(task, i);
    if (offset >= end) continue;
    uint64_t part = end - offset < step ? end - offset : step;
    int trouble = read_fully(task->fd, scratch + i * step, part, task->begin + offset);
    if (trouble != 0) return -trouble;
    task->messages[i].range_count = 1;
    task->messages[i].flags = (at == 0 ? SH_FIRST : 0) | (offset + part == end ? SH_LAST : 0);
    task->ranges[i] = (struct sh_range){(uintptr_t)scratch + i * step, part};
    running++;
  }
  return sh_hash(task->algorithm, task->messages, running, task->ranges, running, -1);
}

int32_t sh_digest_file(int32_t algorithm, int32_t fd, uint64_t begin, uint64_t length, uint64_t piece_length,
                       void *scratch, uint64_t scratch_bytes, void *digests) {
  if (sh_hash_ways(algorithm) == 0) return -ENOSYS;
  if (length == 0 || piece_length == 0 || (length - 1) / piece_length >= MOST_PIECES) return -EINVAL;
  uint32_t count = (uint32_t)((length - 1) / piece_length) + 1;
  uint64_t step = scratch_bytes / count / SH_BLOCK * SH_BLOCK;
  if (step == 0) return -EINVAL;
  struct sh_message messages[MOST_PIECES];
  struct sh_range ranges[MOST_PIECES];
  const struct task task = {algorithm, fd, begin, length, piece_length, count, messages, ranges};
  if (!hash_in_place(&task)) {
    uint64_t longest = end_of(&task, 0);
    for (uint64_t at = 0; at < longest; at += step) {
      int32_t trouble = hash_step(&task, at, step, scratch);
      if (trouble != 0) return trouble;
    }
  }
  for (uint32_t i = 0; i < count; i++) {
    memcpy((uint8_t *)digests + i * digest_bytes[algorithm], messages[i].state, digest_bytes[algorithm]);
  }
  return 0;
}
