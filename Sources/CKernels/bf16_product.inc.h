/* Products of bf16 operands, in one version an instruction set: each bf16_*.c names one and includes this text. Only `dot`
   and `round_numbers` differ; the tiles are those of product.inc.h, over pairs. */
#include "ckernels_bf16.h"
#include <math.h>
#include <string.h>
#if WIDTH == 16
#include <immintrin.h>
#endif
#include "vector.inc.h"

enum { wide = 2, narrow = 1, panel = wide * WIDTH, tile_rows = TILE_ROWS, bases = (TILE_ROWS + 2) / 3 };

INLINE ivec load_pairs(const uint32_t *from) {
  ivec v;
  memcpy(&v, from, sizeof v);
  return v;
}

#if WIDTH == 16
/* sum + the products of a pair, in each place. */
INLINE vec dot(vec sum, ivec x, ivec w) { return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w); }

/* Rounds numbers that lie in one, times factors if there are any. */
static void round_numbers(const float *from, const float *factors, size_t count, uint16_t *to) {
  for (size_t k = 0; k < count; k += WIDTH) {
    const __mmask16 mask = count - k < WIDTH ? (__mmask16)((1u << (count - k)) - 1) : 0xFFFF;
    __m512 x = _mm512_maskz_loadu_ps(mask, from + k);
    if (factors) x = _mm512_mul_ps(x, _mm512_maskz_loadu_ps(mask, factors + k));
    const __m256i rounded = (__m256i)_mm512_cvtneps_pbh(x);
    if (mask == 0xFFFF) _mm256_storeu_si256((__m256i *)(to + k), rounded);
    else _mm256_mask_storeu_epi16(to + k, mask, rounded);
  }
}
#else
INLINE vec dot(vec sum, ivec x, ivec w) {
  const int32_t upper = (int32_t)0xFFFF0000;
  sum = (vec)(x & upper) * (vec)(w & upper) + sum;
  return (vec)(x << 16) * (vec)(w << 16) + sum;
}

static void round_numbers(const float *from, const float *factors, size_t count, uint16_t *to) {
  for (size_t k = 0; k < count; k++) {
    const float x = factors ? from[k] * factors[k] : from[k];
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    /* A NaN stays one. */
    to[k] = (uint16_t)(x != x ? bits >> 16 | 0x40 : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
  }
}
#endif

/* `height` rows of pairs by `vectors` vectors of columns; three rows are reached from one pointer, so that they need few
   registers. */
INLINE void product_tile(
    const ckernels_product *p, const size_t height, const size_t vectors, const uint32_t *a, const uint32_t *b,
    const float *bias, const float *residual, float *out, int32_t activation) {
  const size_t depth = p->segment_count * p->segment_length, stride = ckernels_bf16_row_words(depth);
  vec sum[tile_rows][wide];
  UNROLL for (size_t v = 0; v < vectors; v++) {
    const vec start = bias ? load(bias + v * WIDTH) : (vec)0;
    UNROLL for (size_t r = 0; r < height; r++) sum[r][v] = start;
  }
  UNROLL for (size_t r = 0; r < height; r++) {
    UNROLL for (size_t i = 0; i < vectors * WIDTH; i += 16) {
      __builtin_prefetch(out + r * p->out_row_stride + i);
      if (residual) __builtin_prefetch(residual + r * p->residual_row_stride + i);
    }
  }
  const uint32_t *base[bases];
  UNROLL for (size_t q = 0; q < bases; q++) base[q] = a + 3 * q * stride;
  for (size_t k = 0; k < (depth + 1) / 2; k++) {
    ivec column[wide];
    UNROLL for (size_t v = 0; v < vectors; v++) column[v] = load_pairs(b + v * WIDTH);
    b += vectors * WIDTH;
    UNROLL for (size_t r = 0; r < height; r++) {
      const ivec x = (int32_t)base[r / 3][r % 3 * stride];
      UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = dot(sum[r][v], x, column[v]);
    }
    UNROLL for (size_t q = 0; q < bases; q++) base[q]++;
  }
  const float low = lower_bound(activation), high = upper_bound(activation);
  UNROLL for (size_t r = 0; r < height; r++) {
    UNROLL for (size_t v = 0; v < vectors; v++) {
      vec x = sum[r][v];
      if (residual) x += load(residual + r * p->residual_row_stride + v * WIDTH);
      store(out + r * p->out_row_stride + v * WIDTH, clamp(x, low, high));
    }
  }
}

typedef void tile_function(
    const ckernels_product *, const uint32_t *a, const uint32_t *b, const float *bias, const float *residual,
    float *out, int32_t activation);

#define TILE(height, vectors) \
  static void product_tile_##height##_##vectors( \
      const ckernels_product *p, const uint32_t *a, const uint32_t *b, const float *bias, const float *residual, \
      float *out, int32_t activation) { \
    product_tile(p, height, vectors, a, b, bias, residual, out, activation); \
  }
#define TILES(height) TILE(height, wide) TILE(height, narrow)
#define NAMES(height) {product_tile_##height##_narrow, product_tile_##height##_wide}

TILES(1) TILES(2) TILES(3) TILES(4)
#if TILE_ROWS > 4
TILES(5) TILES(6) TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12)
#endif

/* By height and whether the panel is wide. */
static tile_function *const tiles[tile_rows][2] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4),
#if TILE_ROWS > 4
    NAMES(5), NAMES(6), NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12),
#endif
};

/* A row's pieces, rounded one behind the other. */
static void round_row(const ckernels_product *p, const float *row, const float *factors, uint32_t *to) {
  uint16_t *target = (uint16_t *)to;
  for (size_t s = 0; s < p->segment_count; s++) {
    round_numbers(row + p->segments[s], factors ? factors + s * p->segment_length : NULL, p->segment_length, target);
    target += p->segment_length;
  }
  if (p->segment_count * p->segment_length % 2) *target = 0;
}

/* Rounded rows with all panels, panel by panel, so that one stays in the nearest cache while the rows pass. */
static void multiply_block(
    const ckernels_product *p, const uint32_t *a, size_t rows, const uint32_t *panels, const float *residual,
    float *out) {
  const size_t depth = p->segment_count * p->segment_length;
  const int32_t bounds = is_clamp(p->activation) ? p->activation : ckernels_none;
  for (size_t n = 0; n < p->columns; n += panel) {
    const size_t columns = p->columns - n < panel ? p->columns - n : panel;
    size_t done = 0;
    for (size_t left = (rows + tile_rows - 1) / tile_rows; left > 0; left--) {
      const size_t height = (rows - done + left - 1) / left;
      float *target = out + done * p->out_row_stride + n;
      tiles[height - 1][columns == panel](
          p, a + done * ckernels_bf16_row_words(depth), panels + n * ((depth + 1) / 2), p->bias ? p->bias + n : NULL,
          residual ? residual + done * p->residual_row_stride + n : NULL, target, bounds);
      if (bounds != p->activation) activate(target, p->out_row_stride, height, columns, p->activation);
      done += height;
    }
  }
}

static void multiply(const ckernels_product *p, const void *panels, const float *factors, void *scratch) {
  const size_t depth = p->segment_count * p->segment_length, most = ckernels_bf16_block_rows(depth);
  /* Groups whose results lie in one are one. */
  const int is_one = p->out_group_stride == p->rows * p->out_row_stride
      && (!p->residual || p->residual_group_stride == p->rows * p->residual_row_stride);
  const size_t all = p->groups * p->rows, run = is_one ? all : p->rows;
  for (size_t first = 0; first < all;) {
    const size_t left = run - first % run, count = left < most ? left : most;
    for (size_t i = 0; i < count; i++) {
      const float *row = p->a + (first + i) / p->rows * p->group_stride + (first + i) % p->rows * p->row_stride;
      round_row(p, row, factors, (uint32_t *)scratch + i * ckernels_bf16_row_words(depth));
    }
    const size_t g = first / p->rows, r = first % p->rows;
    multiply_block(
        p, scratch, count, panels,
        p->residual ? p->residual + g * p->residual_group_stride + r * p->residual_row_stride : NULL,
        p->out + g * p->out_group_stride + r * p->out_row_stride);
    first += count;
  }
}

static void pack(const float *b, size_t depth, size_t columns, void *panels) {
  uint32_t *target = panels;
  for (size_t n = 0; n < columns; n += panel) {
    const size_t width = columns - n < panel ? columns - n : panel;
    for (size_t k = 0; k < depth; k += 2) {
      uint16_t first[panel], second[panel] = {0};
      round_numbers(b + k * columns + n, NULL, width, first);
      if (k + 1 < depth) round_numbers(b + (k + 1) * columns + n, NULL, width, second);
      for (size_t i = 0; i < width; i++) *target++ = first[i] | (uint32_t)second[i] << 16;
    }
  }
}

const ckernels_bf16_table TABLE = {.panel_columns = panel, .pack = pack, .multiply = multiply};
