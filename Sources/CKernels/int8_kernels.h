#pragma once
#include "ckernels_int8.h"

/* What the byte kernels of each instruction set offer to the functions that choose between them. */

enum { block = ckernels_int8_columns, lanes = ckernels_int8_lanes, most_taps = 64 };

static inline size_t lesser(size_t a, size_t b) { return a < b ? a : b; }

/* The place of a result `row` rows below and `column` columns beside another. */
static inline ckernels_int8_output moved(ckernels_int8_output o, size_t row, size_t column) {
  const size_t by = row * o.stride + column;
  return (ckernels_int8_output){o.bytes ? o.bytes + by : NULL, o.floats ? o.floats + by : NULL, o.stride};
}

/* The epilogue of results that start `row` rows below and `column` columns beside. */
static inline ckernels_int8_epilogue moved_epilogue(
    const ckernels_int8_epilogue *epilogue, size_t row, size_t column, size_t stride) {
  ckernels_int8_epilogue e = *epilogue;
  e.scale += column;
  e.bias += column;
  if (e.residual) {
    e.residual += row * stride + column;
    e.residual_scale += column;
  }
  return e;
}

/* Rows that the next of `tiles` tiles takes of those left: equal shares, so that the last is no sliver. */
static inline size_t share(size_t left, size_t tiles) { return (left + tiles - 1) / tiles; }

/* Weights in blocks of 32 columns, [block][depth/4][32][4]: what plain C and VNNI read. */
size_t int8_blocks_pack(const int8_t *weights, size_t columns, size_t depth, int8_t *packed);
size_t int8_no_scratch(size_t rows, size_t depth);

/* Makes the results of one pixel from the taps under its window; those beyond the last lie outside the picture. */
typedef void int8_pixel_kernel(
    const uint8_t *const *taps, size_t count, const int8_t *weights, size_t channels,
    const ckernels_int8_epilogue *epilogue, uint8_t *out);

/* A depthwise convolution pixel by pixel. */
void int8_each_pixel(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output, int8_pixel_kernel *kernel);

extern const ckernels_int8_table int8_portable_table;
#if defined(__x86_64__)
extern const ckernels_int8_table int8_avx2_table, int8_vnni_table, int8_amx_table;

size_t int8_avx2_pack_winograd(const int8_t *weights, size_t outputs, size_t channels, int8_t *packed);
size_t int8_avx2_winograd_scratch(size_t channels);
void int8_avx2_winograd(
    const ckernels_int8_window *w, size_t images, const uint8_t *in, const int8_t *weights, size_t outputs,
    const ckernels_int8_epilogue *epilogue, ckernels_int8_output output, void *scratch);

size_t int8_vnni_pack_depthwise(
    const int8_t *weights, size_t channels, size_t kernel_h, size_t kernel_w, int8_t *packed);
void int8_vnni_depthwise(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output);
#endif
