#pragma once
#include "ckernels.h"

/// Matrix products whose operands are rounded to bf16, the upper 16 bits of a float, to the nearest and halves to even;
/// sums, and all that follows them, are floats. Two neighbours of a row make a pair, a 32-bit word with the first of them in
/// its lower half; a row of an odd length ends in a zero. The order of additions, and whether numbers below 2^-126 count as
/// zeros, are the instruction set's.
typedef struct {
  /// Columns of a panel of packed weights; the last panel of a matrix may have 16.
  size_t panel_columns;
  /// b (depth × columns, row-major) into panels of ⌈depth/2⌉ × panel_columns pairs.
  void (*_Nonnull pack)(const float *_Nonnull b, size_t depth, size_t columns, void *_Nonnull panels);
  /// As `ckernels_product` says, with b in `panels` and not in the product's own. Factors of a's columns, if there are any,
  /// are multiplied in before a is rounded. `scratch` has room for `ckernels_bf16_scratch` words.
  void (*_Nonnull multiply)(
      const ckernels_product *_Nonnull, const void *_Nonnull panels, const float *_Nullable factors,
      void *_Nonnull scratch);
} ckernels_bf16_table;

/// The kernels of an instruction set, or NULL if it or this processor has no instructions for bf16. Those of
/// `ckernels_portable` do without: they say what is right and are slower than products of floats.
const ckernels_bf16_table *_Nullable ckernels_bf16_of(int32_t instruction_set);

/// Rows that are rounded at a time: as many as then stay in the second-level cache while all panels pass.
static inline size_t ckernels_bf16_block_rows(size_t depth) {
  const size_t rows = 262144 / (depth + 1) / 48 * 48;
  return rows > 192 ? rows : 192;
}

/// Words from one rounded row to the next: an odd number of cache lines, lest rows meet in the same sets.
static inline size_t ckernels_bf16_row_words(size_t depth) { return ((depth + 31) / 32 | 1) * 16; }

/// Words of scratch memory for a product of so many rows, all groups together.
static inline size_t ckernels_bf16_scratch(size_t rows, size_t depth) {
  const size_t most = ckernels_bf16_block_rows(depth);
  return (rows < most ? rows : most) * ckernels_bf16_row_words(depth);
}
