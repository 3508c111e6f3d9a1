/* Tiles of bf16 products in registers, those of product.inc.h over pairs; after bf16_product.inc.h. */

enum { wide = 2, narrow = 1, tile_rows = TILE_ROWS, bases = (TILE_ROWS + 2) / 3 };

INLINE ivec load_pairs(const uint32_t *from) {
  ivec v;
  memcpy(&v, from, sizeof v);
  return v;
}

#if WIDTH == 16
/* sum + the products of a pair, in each place. */
INLINE vec dot(vec sum, ivec x, ivec w) { return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w); }
#else
INLINE vec dot(vec sum, ivec x, ivec w) {
  const int32_t upper = (int32_t)0xFFFF0000;
  sum = (vec)(x & upper) * (vec)(w & upper) + sum;
  return (vec)(x << 16) * (vec)(w << 16) + sum;
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
