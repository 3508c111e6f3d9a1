/* Products of bf16 operands, in one version an instruction set: each bf16_*.c names one and includes this text, which rounds
   and packs; then bf16_tiles.inc.h or tiles of its own. */
#include "ckernels_bf16.h"
#include <math.h>
#include <string.h>
#if WIDTH == 16
#include <immintrin.h>
#endif
#include "vector.inc.h"

enum { panel = 2 * WIDTH };

#if WIDTH == 16
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

/* A row's pieces, rounded one behind the other, and zeros up to a multiple of 32. */
static void round_row(const ckernels_product *p, const float *row, const float *factors, uint32_t *to) {
  uint16_t *target = (uint16_t *)to;
  for (size_t s = 0; s < p->segment_count; s++) {
    round_numbers(row + p->segments[s], factors ? factors + s * p->segment_length : NULL, p->segment_length, target);
    target += p->segment_length;
  }
  const size_t depth = p->segment_count * p->segment_length;
  memset(target, 0, ((depth + 31) / 32 * 32 - depth) * sizeof *target);
}

/* Rounded rows with all panels; `residual` and `out` are the first row's. */
static void multiply_block(
    const ckernels_product *p, const uint32_t *a, size_t rows, const uint32_t *panels, const float *residual,
    float *out);

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
