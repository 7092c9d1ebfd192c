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

#endif
