/*
 * What the native library of Swarmhaul gives: functions called by address from any thread, through koffi.
 * Memory is named by its address in 64 bits. No function keeps a pointer after it has returned, unless it says so.
 * `src/native/library.ts` has the same list; whoever changes the meaning of a function raises SH_INTERFACE there and here.
 */
#ifndef SWARMHAUL_H
#define SWARMHAUL_H

#include <stdint.h>

#define SH_INTERFACE 1

/* Everything else is hidden: the library is loaded into a process that has its own OpenSSL. */
#define SH_API __attribute__((visibility("default")))

/* SH_INTERFACE of the sources this library was made of. */
SH_API int32_t sh_interface(void);

/* ---- guard.c: memory whose file was cut off is counted instead of ending the process ---- */

/* Puts the handler of SIGBUS in place, once per process, for good. Returns 0 or an errno. */
SH_API int32_t sh_guard_install(void);

/*
 * Guards mapped memory: whole pages. From then on a fault in it that would be a SIGBUS puts a page of zeros in that place, which is no
 * part of the file. Returns the number of the window, or -1: no room, or the handler is not in place.
 */
SH_API int32_t sh_guard_add(uintptr_t begin, uintptr_t length);

/* Before the memory is unmapped, when no thread touches it any more. */
SH_API void sh_guard_remove(int32_t window);

/* Faults in a window since it was added. */
SH_API uint32_t sh_guard_faults(int32_t window);

/* Where the first of them was, counted from the begin of the window. */
SH_API uintptr_t sh_guard_first(int32_t window);

/* Address of the number of faults in all windows so far (uint32_t): tells without a call that something has happened. It stays valid. */
SH_API uintptr_t sh_guard_total(void);

#endif
