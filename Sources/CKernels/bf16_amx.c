#if defined(__x86_64__)
#include "amx.h"
#define TABLE ckernels_bf16_amx_table
#define WIDTH 16
#pragma clang attribute push( \
    __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx2,fma,bmi,bmi2"))), \
    apply_to = function)
#include "bf16_product.inc.h"

/* Products of bf16 operands by AMX (tdpbf16ps): 16 rows of 32 numbers by 16 columns at once, from the rows and panels that
   the products in registers read. */

/* Neighbouring rows in tiles of equal height, of which the last overlaps the one before. */
typedef struct {
  size_t rows, count, height;
} cover;

/* The last pairs of rows of weights, which fill no tile, and zeros below them. */
typedef struct {
  uint32_t pairs[amx_rows * panel] __attribute__((aligned(64)));
} fringe;

/* Up to two tiles of rows by one or two vectors of columns: sums [tile][row][16 · vectors]. */
INLINE void sums_of(
    const int tiles, const int vectors, const uint32_t *const a[2], size_t a_words, const uint32_t *b, size_t pairs,
    const fringe *rest, float *sums) {
  const size_t a_bytes = 4 * a_words, b_bytes = amx_row_bytes * (size_t)vectors;
  const uint32_t *x = a[0], *y = a[1];
  _tile_zero(0);
  if (vectors == 2) _tile_zero(1);
  if (tiles == 2) _tile_zero(2);
  if (tiles == 2 && vectors == 2) _tile_zero(3);
  for (size_t k = 0; k < pairs; k += amx_rows, x += amx_rows, y += amx_rows, b += amx_rows * WIDTH * vectors) {
    const uint32_t *w = k + amx_rows <= pairs ? b : rest->pairs;
    _tile_loadd(4, x, a_bytes);
    _tile_loadd(6, w, b_bytes);
    _tile_dpbf16ps(0, 4, 6);
    if (tiles == 2) {
      _tile_loadd(5, y, a_bytes);
      _tile_dpbf16ps(2, 5, 6);
    }
    if (vectors == 2) {
      _tile_loadd(7, w + WIDTH, b_bytes);
      _tile_dpbf16ps(1, 4, 7);
      if (tiles == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  const int row = WIDTH * vectors;
  _tile_stored(0, sums, 4 * row);
  if (vectors == 2) _tile_stored(1, sums + WIDTH, 4 * row);
  if (tiles == 2) _tile_stored(2, sums + amx_rows * row, 4 * row);
  if (tiles == 2 && vectors == 2) _tile_stored(3, sums + amx_rows * row + WIDTH, 4 * row);
}

/* Results of `count` rows from `row` on, of the columns from `column` on. */
INLINE void finish(
    const int vectors, const ckernels_product *p, const float *sums, size_t row, size_t count, size_t column,
    const float *residual, float *out) {
  const int32_t bounds = is_clamp(p->activation) ? p->activation : ckernels_none;
  const float low = lower_bound(bounds), high = upper_bound(bounds);
  vec bias[2];
  UNROLL for (int v = 0; v < vectors; v++) bias[v] = p->bias ? load(p->bias + column + v * WIDTH) : (vec)0;
  float *target = out + row * p->out_row_stride + column;
  const float *other = residual ? residual + row * p->residual_row_stride + column : NULL;
  for (size_t r = 0; r < count; r++, sums += WIDTH * vectors) {
    UNROLL for (int v = 0; v < vectors; v++) {
      vec x = load(sums + v * WIDTH) + bias[v];
      if (other) x += load(other + r * p->residual_row_stride + v * WIDTH);
      store(target + r * p->out_row_stride + v * WIDTH, clamp(x, low, high));
    }
  }
  if (bounds != p->activation) activate(target, p->out_row_stride, count, (size_t)vectors * WIDTH, p->activation);
}

/* The tile `number` and the one after it, if there is one, by a panel. */
INLINE void multiply_pair(
    const int vectors, const ckernels_product *p, const cover *c, size_t number, const uint32_t *a,
    const uint32_t *b, const fringe *rest, size_t column, const float *residual, float *out) {
  const size_t words = ckernels_bf16_row_words(p->segment_count * p->segment_length);
  const size_t pairs = (p->segment_count * p->segment_length + 1) / 2;
  float sums[2 * amx_rows * panel] __attribute__((aligned(64)));
  const int tiles = number + 1 < c->count ? 2 : 1;
  size_t wanted[2], start[2];
  const uint32_t *rows[2] = {a, a};
  for (int i = 0; i < tiles; i++) {
    wanted[i] = (number + (size_t)i) * c->height;
    start[i] = wanted[i] + c->height <= c->rows ? wanted[i] : c->rows - c->height;
    rows[i] = a + start[i] * words;
  }
  if (tiles == 2) sums_of(2, vectors, rows, words, b, pairs, rest, sums);
  else sums_of(1, vectors, rows, words, b, pairs, rest, sums);
  for (int i = 0; i < tiles; i++) {
    const size_t skipped = wanted[i] - start[i];
    finish(
        vectors, p, sums + ((size_t)i * amx_rows + skipped) * WIDTH * (size_t)vectors, wanted[i], c->height - skipped,
        column, residual, out);
  }
}

/* Panel by panel, so that one is still near when the next rows meet it. */
static void multiply_block(
    const ckernels_product *p, const uint32_t *a, size_t rows, const uint32_t *panels, const float *residual,
    float *out) {
  const size_t pairs = (p->segment_count * p->segment_length + 1) / 2, full = pairs / amx_rows * amx_rows;
  const size_t count = (rows + amx_rows - 1) / amx_rows;
  const cover c = {rows, count, (rows + count - 1) / count};
  amx_configure(c.height, amx_row_bytes);
  for (size_t n = 0; n < p->columns; n += panel) {
    const size_t columns = p->columns - n < panel ? p->columns - n : panel;
    const uint32_t *b = panels + n * pairs;
    fringe rest = {{0}};
    memcpy(rest.pairs, b + full * columns, (pairs - full) * columns * sizeof *b);
    for (size_t t = 0; t < count; t += 2) {
      if (columns == panel) multiply_pair(2, p, &c, t, a, b, &rest, n, residual, out);
      else multiply_pair(1, p, &c, t, a, b, &rest, n, residual, out);
    }
  }
  _tile_release();
}
#pragma clang attribute pop
#endif
