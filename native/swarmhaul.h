/*
 * What the native library of Swarmhaul gives: functions called by address from any thread, through koffi.
 * Memory is named by its address in 64 bits. No function keeps a pointer after it has returned, unless it says so.
 * `src/native/library.ts` has the same list; whoever changes what a function means raises SH_INTERFACE there and here.
 */
#ifndef SWARMHAUL_H
#define SWARMHAUL_H

#include <stdint.h>

#define SH_INTERFACE 4

/* Everything else is hidden: the library is loaded into a process that has its own OpenSSL. */
#define SH_API __attribute__((visibility("default")))

/* SH_INTERFACE of the sources this library was made of. */
SH_API int32_t sh_interface(void);

/* ---- guard.c: memory whose file was cut off is counted instead of ending the process ---- */

/* Puts the handler of SIGBUS in place, once per process, for good. Returns 0 or an errno. */
SH_API int32_t sh_guard_install(void);

/*
 * Guards mapped memory: whole pages. From then on a fault in it that would be a SIGBUS puts zeros there and behind it,
 * up to 64 KiB, which are no part of the file. Returns the number of the window, or -1: no room, or the handler is not
 * in place.
 */
SH_API int32_t sh_guard_add(uintptr_t begin, uintptr_t length);

/* Before the memory is unmapped, when no thread touches it any more. */
SH_API void sh_guard_remove(int32_t window);

/* Faults in a window since it was added. */
SH_API uint32_t sh_guard_faults(int32_t window);

/* Where the first of them was, counted from the begin of the window. */
SH_API uintptr_t sh_guard_first(int32_t window);

/*
 * Address of the number of faults in all windows so far (uint32_t): tells without a call that something has happened.
 * It stays valid.
 */
SH_API uintptr_t sh_guard_total(void);

/* ---- multihash: SHA-1 and SHA-256 of many messages at once ---- */

/* A part of a message. Address 0: so many zeros (a pad file, BEP 47). */
struct sh_range {
  uint64_t address;
  uint64_t length_bytes;
};

/* It begins here: `state` and `before_bytes` are not read. */
#define SH_FIRST 1
/* It ends here: `state` becomes the digest, 20 or 32 bytes as they are printed. */
#define SH_LAST 2

/*
 * A message, or the next part of one. Without SH_LAST its ranges are a multiple of 64 bytes long together, and `state`
 * and `before_bytes` are then what the next part begins with.
 */
struct sh_message {
  uint32_t state[8];
  uint64_t before_bytes;
  /* The next so many of the call's ranges are its own. */
  uint32_t range_count;
  uint32_t flags;
};

/*
 * `algorithm`: 0 SHA-1, 1 SHA-256. A bit for each way this machine has of hashing many messages; 0: none, and the
 * functions below fail.
 */
SH_API int32_t sh_hash_ways(int32_t algorithm);

/* MB/s at which `count` messages (1 to 16) are hashed by the fastest way, measured once for this process; 0: none. */
SH_API int32_t sh_hash_rate(int32_t algorithm, int32_t count);

/*
 * Hashes `count` messages (struct sh_message) over `range_count` ranges (struct sh_range), in the order of the
 * messages. They may be of unequal length. `way`: -1 the fastest for those that are left at each moment, else the
 * number of a bit of `sh_hash_ways`. Returns 0, or -EINVAL for lengths that do not fit and -ENOSYS where there is no
 * such way; then no memory was touched.
 */
SH_API int32_t sh_hash(int32_t algorithm, void *messages, int32_t count, const void *ranges, int32_t range_count,
                       int32_t way);

/*
 * Hashes `length` bytes of a file from `begin` on as pieces of `piece_length`, at most 64 of them, of which the last
 * may be shorter: mapped where it is in memory, which puts the guard in place, else read step by step into `scratch`.
 * Writes their digests one after the other. Returns 0, or an errno, negative: of the read; -ENODATA where the file ends
 * too early, -EINVAL for lengths that do not fit, -ENOSYS where there is no way of hashing many.
 */
SH_API int32_t sh_digest_file(int32_t algorithm, int32_t fd, uint64_t begin, uint64_t length, uint64_t piece_length,
                              void *scratch, uint64_t scratch_bytes, void *digests);

#endif
