#pragma once
#include <stddef.h>
#include <stdint.h>

/// What the training kernels share: vectors of fixed widths that any instruction set can carry, and the attribute that
/// makes the compiler write one version for each.

/* ThreadSanitizer instruments the choice too, which the loader makes before there is a thread. */
#if defined(__x86_64__) && !__has_feature(thread_sanitizer)
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float vector16 __attribute__((vector_size(64), aligned(4)));
typedef float vector8 __attribute__((vector_size(32), aligned(4)));

/// Calls LOOP(width, first) for blocks of 64, 16 and 8 channels and for each channel left over.
#define EACH_BLOCK(channels, LOOP)                             \
  do {                                                         \
    size_t first_ = 0;                                         \
    for (; first_ + 64 <= (channels); first_ += 64) LOOP(64, first_); \
    for (; first_ + 16 <= (channels); first_ += 16) LOOP(16, first_); \
    for (; first_ + 8 <= (channels); first_ += 8) LOOP(8, first_);    \
    for (; first_ < (channels); first_++) LOOP(1, first_);     \
  } while (0)
