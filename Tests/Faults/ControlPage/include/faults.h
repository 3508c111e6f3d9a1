#pragma once
#include <stdint.h>

/// What the fault suite tells the preload library in a daemon and its sink hosts, and what that library counts: one page,
/// mapped shared from the file that LOOKOUT_FAULTS_CONTROL names.

/// Groups of calls, as bits.
#define FAULTS_SYNC 1u     /* fsync, fdatasync */
#define FAULTS_RENAME 2u   /* rename, renameat, renameat2 */
#define FAULTS_UNLINK 4u   /* unlink, unlinkat */
#define FAULTS_WRITE 8u    /* write, writev, pwrite */
#define FAULTS_TRUNCATE 16u /* ftruncate, posix_fallocate */
#define FAULTS_READ 32u    /* read, pread */

/// What happens at a call that is struck.
#define FAULTS_COUNT 0u     /* nothing but counting */
#define FAULTS_KILL 1u      /* the process dies by SIGKILL before the call */
#define FAULTS_KILL_HALF 2u /* a write is done by half, then the process dies; other calls: done, then it dies */
#define FAULTS_FAIL 3u      /* the call fails with `error` */
#define FAULTS_DELAY 4u     /* the call comes `delay_ms` late */

/// The width of a JPEG picture at whose header the decoding thread meets its end.
#define FAULTS_WIDTH_CRASH 1013u
#define FAULTS_WIDTH_LOOP 1019u

typedef struct {
  /* Written by the suite; `armed` last. */
  uint32_t armed;
  uint32_t calls;
  uint32_t action;
  int32_t error;
  uint64_t first, last; /* which of the matching calls are struck, counted from 1 */
  uint32_t delay_ms;
  uint32_t poison; /* whether pictures of the widths above do harm */
  int64_t clock_offset_ns; /* added to the wall clock */
  char program[32]; /* name of the program, empty for any */
  char path[512];   /* a part of the path of the file concerned */
  /* Written by the library. */
  uint64_t matched, struck, poisoned, clock_readings;
} faults_control;
