#include "int8_kernels.h"
#include <string.h>

/* Sums of products of bytes in plain C, and what the sets share. */

size_t int8_blocks_pack(const int8_t *weights, size_t columns, size_t depth, int8_t *packed) {
  const size_t size = (columns + block - 1) / block * block * depth;
  if (!packed) return size;
  memset(packed, 0, size);
  for (size_t n = 0; n < columns; n++)
    for (size_t k = 0; k < depth; k += 4)
      memcpy(packed + n / block * block * depth + k * block + n % block * 4, weights + n * depth + k, 4);
  return size;
}

size_t int8_no_scratch(size_t rows, size_t depth) {
  (void)rows, (void)depth;
  return 0;
}

static void portable_sums(size_t depth, const uint8_t *a, const int8_t *b, int32_t sums[block]) {
  memset(sums, 0, block * sizeof *sums);
  for (size_t k = 0; k < depth; k += 4, b += 4 * block) {
    const uint8_t *x = a + k;
    for (size_t c = 0; c < block; c++)
      sums[c] += x[0] * b[4 * c] + x[1] * b[4 * c + 1] + x[2] * b[4 * c + 2] + x[3] * b[4 * c + 3];
  }
}

static void portable_multiply(const ckernels_int8_product *p) {
  for (size_t column = 0; column < p->columns; column += block) {
    for (size_t row = 0; row < p->rows; row++) {
      int32_t sums[block];
      portable_sums(p->depth, p->a + row * p->a_stride, p->weights + column * p->depth, sums);
      const ckernels_int8_epilogue e = moved_epilogue(&p->epilogue, row, column, p->output.stride);
      ckernels_int8_finish(sums, lesser(block, p->columns - column), &e, moved(p->output, row, column));
    }
  }
}

/* Where the window's taps lie for the output pixel (oy, ox). */
static void find_taps(
    const ckernels_int8_window *w, const uint8_t *in, size_t oy, size_t ox, const ptrdiff_t *offsets, size_t count,
    const uint8_t **taps) {
  const long y0 = (long)(oy * w->stride_h) - (long)w->top, x0 = (long)(ox * w->stride_w) - (long)w->left;
  const uint8_t *origin = in + (y0 * (long)w->width + x0) * (long)w->stride;
  const int is_inside = y0 >= 0 && x0 >= 0 && y0 + (long)((w->kernel_h - 1) * w->dilation_h) < (long)w->height &&
                        x0 + (long)((w->kernel_w - 1) * w->dilation_w) < (long)w->width;
  if (is_inside) {
    for (size_t t = 0; t < count; t++) taps[t] = origin + offsets[t];
    return;
  }
  size_t t = 0;
  for (size_t ky = 0; ky < w->kernel_h; ky++) {
    const long y = y0 + (long)(ky * w->dilation_h);
    for (size_t kx = 0; kx < w->kernel_w; kx++, t++) {
      const long x = x0 + (long)(kx * w->dilation_w);
      const int is_pixel = y >= 0 && y < (long)w->height && x >= 0 && x < (long)w->width;
      taps[t] = is_pixel ? origin + offsets[t] : w->outside;
    }
  }
}

static void portable_pixel(
    const uint8_t *const *taps, size_t count, const int8_t *weights, size_t channels,
    const ckernels_int8_epilogue *epilogue, uint8_t *out) {
  ckernels_int8_epilogue e = *epilogue;
  for (size_t first = 0; first < channels; first += lanes, e.scale += lanes, e.bias += lanes) {
    const size_t part = lesser(lanes, channels - first);
    int32_t sums[lanes] = {0};
    for (size_t t = 0; t < count; t++)
      for (size_t c = 0; c < part; c++) sums[c] += taps[t][first + c] * weights[t * channels + first + c];
    ckernels_int8_finish(sums, part, &e, (ckernels_int8_output){.bytes = out + first, .stride = part});
  }
}

/* [tap][channel] */
static size_t portable_pack_depthwise(
    const int8_t *weights, size_t channels, size_t kernel_h, size_t kernel_w, int8_t *packed) {
  const size_t taps = kernel_h * kernel_w;
  for (size_t t = 0; packed && t < taps; t++)
    for (size_t c = 0; c < channels; c++) packed[t * channels + c] = weights[c * taps + t];
  return channels * taps;
}

void int8_each_pixel(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output, int8_pixel_kernel *kernel) {
  const size_t count = w->kernel_h * w->kernel_w;
  const uint8_t *taps[most_taps];
  ptrdiff_t offsets[most_taps];
  for (size_t t = 0; t < most_taps; t++) taps[t] = w->outside;
  for (size_t t = 0; t < count; t++)
    offsets[t] = (ptrdiff_t)((t / w->kernel_w * w->dilation_h * w->width + t % w->kernel_w * w->dilation_w) * w->stride);
  uint8_t *out = output.bytes;
  for (size_t oy = 0; oy < w->out_height; oy++) {
    for (size_t ox = 0; ox < w->out_width; ox++, out += output.stride) {
      find_taps(w, in, oy, ox, offsets, count, taps);
      kernel(taps, count, weights, w->channels, epilogue, out);
    }
  }
}

static void portable_depthwise(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output) {
  int8_each_pixel(w, in, weights, epilogue, output, portable_pixel);
}

const ckernels_int8_table int8_portable_table = {
    .pack = int8_blocks_pack,
    .multiply = portable_multiply,
    .multiply_scratch = int8_no_scratch,
    .pack_depthwise = portable_pack_depthwise,
    .depthwise = portable_depthwise,
};
