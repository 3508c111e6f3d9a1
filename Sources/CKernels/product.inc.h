/* Matrix products by a micro-kernel that keeps TILE_ROWS × 2 vectors of the result in registers. */

enum { wide = 2, narrow = 1, panel = wide * WIDTH, tile_rows = TILE_ROWS, bases = (TILE_ROWS + 2) / 3 };

INLINE void prefetch(const float *from, size_t vectors) {
  for (size_t i = 0; i < vectors * WIDTH; i += 16) __builtin_prefetch(from + i);
}

/* `height` rows by `vectors` vectors; three rows are reached from one pointer, so that they need few registers. */
INLINE void product_tile(
    const ckernels_product *p, const size_t height, const size_t vectors, const float *a, const float *b,
    const float *bias, const float *residual, float *out, int32_t activation) {
  vec sum[tile_rows][wide];
  UNROLL for (size_t v = 0; v < vectors; v++) {
    const vec start = bias ? load(bias + v * WIDTH) : (vec)0;
    UNROLL for (size_t r = 0; r < height; r++) sum[r][v] = start;
  }
  /* What the tile will add and overwrite comes from far while it is computed. */
  UNROLL for (size_t r = 0; r < height; r++) {
    if (residual) prefetch(residual + r * p->residual_row_stride, vectors);
    prefetch(out + r * p->out_row_stride, vectors);
  }
  const size_t stride = p->row_stride;
  for (size_t s = 0; s < p->segment_count; s++) {
    const float *base[bases];
    UNROLL for (size_t q = 0; q < bases; q++) base[q] = a + p->segments[s] + 3 * q * stride;
    for (size_t k = 0; k < p->segment_length; k++) {
      vec column[wide];
      UNROLL for (size_t v = 0; v < vectors; v++) column[v] = load(b + v * WIDTH);
      b += vectors * WIDTH;
      UNROLL for (size_t r = 0; r < height; r++) {
        const vec x = base[r / 3][r % 3 * stride];
        UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = x * column[v] + sum[r][v];
      }
      UNROLL for (size_t q = 0; q < bases; q++) base[q]++;
    }
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
    const ckernels_product *, const float *a, const float *b, const float *bias, const float *residual, float *out,
    int32_t activation);

#define TILE(height, vectors) \
  static void tile_##height##_##vectors( \
      const ckernels_product *p, const float *a, const float *b, const float *bias, const float *residual, \
      float *out, int32_t activation) { \
    product_tile(p, height, vectors, a, b, bias, residual, out, activation); \
  }
#define TILES(height) TILE(height, wide) TILE(height, narrow)
#define NAMES(height) {tile_##height##_narrow, tile_##height##_wide}

TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if TILE_ROWS > 6
TILES(7) TILES(8) TILES(9) TILES(10) TILES(11) TILES(12)
#endif

static tile_function *const tiles[tile_rows][2] = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6),
#if TILE_ROWS > 6
    NAMES(7), NAMES(8), NAMES(9), NAMES(10), NAMES(11), NAMES(12),
#endif
};

/* Panel by panel, so that one stays in the nearest cache while all rows pass; rows are shared out evenly to tiles. */
static void multiply(const ckernels_product *p) {
  const size_t depth = p->segment_count * p->segment_length;
  const int32_t bounds = is_clamp(p->activation) ? p->activation : ckernels_none;
  for (size_t n = 0; n < p->columns; n += panel) {
    const size_t columns = p->columns - n < panel ? p->columns - n : panel;
    const float *bias = p->bias ? p->bias + n : NULL;
    for (size_t g = 0; g < p->groups; g++) {
      size_t done = 0;
      for (size_t left = (p->rows + tile_rows - 1) / tile_rows; left > 0; left--) {
        const size_t height = (p->rows - done + left - 1) / left;
        float *out = p->out + g * p->out_group_stride + done * p->out_row_stride + n;
        const float *residual =
            p->residual ? p->residual + g * p->residual_group_stride + done * p->residual_row_stride + n : NULL;
        tiles[height - 1][columns == panel](
            p, p->a + g * p->group_stride + done * p->row_stride, p->panels + n * depth, bias, residual, out, bounds);
        if (bounds != p->activation) activate(out, p->out_row_stride, height, columns, p->activation);
        done += height;
      }
    }
  }
}

static void pack(const float *b, size_t depth, size_t columns, float *panels) {
  for (size_t n = 0; n < columns; n += panel) {
    const size_t width = columns - n < panel ? columns - n : panel;
    for (size_t k = 0; k < depth; k++) {
      memcpy(panels + n * depth + k * width, b + k * columns + n, width * sizeof *b);
    }
  }
}
