/* Matrix products by a micro-kernel that keeps up to TILE_ROWS × 2 vectors of the result in registers: those of one panel, or,
   where there are registers enough, of two beside each other, so that a number of a row once loaded serves more of them. */

enum {
  narrow = 1, wide = 2, trio = 3, quad = 4, panel = wide * WIDTH,
  tile_rows = TILE_ROWS, bases = (TILE_ROWS + 2) / 3
};

INLINE void prefetch(const float *from, size_t vectors) {
  for (size_t i = 0; i < vectors * WIDTH; i += 16) __builtin_prefetch(from + i);
}

/* What is fetched while a tile is computed: weights that are wanted soon, and the rows of the next tile; of both so many
   floats with each row of a panel. */
typedef struct {
  const float *weights;
  size_t weights_step, rows_step;
} lookahead;

/* Tiles of the same rows and columns, one below the other; what the first of them reads and writes. */
typedef struct {
  size_t tiles, columns;
  const float *a, *b, *bias, *residual;
  /* From a panel to that beside it. */
  ptrdiff_t beside;
  float *out;
  /* Whether `out` holds sums to which these are added, instead of the bias. */
  int adds;
  lookahead ahead;
} tile_run;

/* What the sum begins with that goes to `out`, the first row's or not. */
INLINE vec beginning(const tile_run *run, const size_t v, size_t row_floats) {
  if (run->adds) return load(run->out + row_floats + v * WIDTH);
  return run->bias ? load(run->bias + v * WIDTH) : (vec)0;
}

/* Rows of a panel that pass between two fetches. Between them stands nothing but loads and products, since a core that
   another guest's thread shares issues half as many instructions; so vectors of 8 fetch one line of weights each time. */
enum { fetch_interval = 4, fetched_weights = WIDTH == 16 ? 16 : fetch_interval * panel };

/* The row of a panel that is next, and that of the panel beside it. */
typedef struct {
  const float *first, *second;
} panel_row;

INLINE panel_row next_row(panel_row b, const size_t vectors) {
  b.first += (vectors < wide ? vectors : wide) * WIDTH;
  if (vectors > wide) b.second += (vectors - wide) * WIDTH;
  return b;
}

/* Adds the products of number `k` of each row and a row of the panels. */
INLINE void product_step(
    const size_t height, const size_t vectors, const float *const *base, size_t stride, const size_t k, panel_row b,
    vec (*sum)[quad]) {
  vec column[quad];
  UNROLL for (size_t v = 0; v < vectors; v++) {
    column[v] = load(v < wide ? b.first + v * WIDTH : b.second + (v - wide) * WIDTH);
  }
  UNROLL for (size_t r = 0; r < height; r++) {
    const vec x = base[r / 3][r % 3 * stride + k];
    UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = x * column[v] + sum[r][v];
  }
}

/* `height` rows by `vectors` vectors; three rows are reached from one pointer, so that they need few registers. What the
   tile will add and overwrite, the rows of the next one, and its share of the next panel come from far while it is
   computed, evenly, lest what it reads itself wait behind them. */
INLINE void product_tile(
    const ckernels_product *p, const size_t height, const size_t vectors, const tile_run *run, int32_t activation) {
  panel_row b = {run->b, run->b + run->beside};
  const size_t stride = p->row_stride, out_stride = p->out_row_stride, residual_stride = p->residual_row_stride;
  vec sum[tile_rows][quad];
  UNROLL for (size_t r = 0; r < height; r++) {
    UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = beginning(run, v, r * out_stride);
  }
  const float *a = run->a, *residual = run->residual, *next = a + height * stride;
  float *out = run->out;
  lookahead ahead = run->ahead;
  size_t fetched = 0;
  for (size_t s = 0; s < p->segment_count; s++) {
    const float *base[bases];
    UNROLL for (size_t q = 0; q < bases; q++) base[q] = a + p->segments[s] + 3 * q * stride;
    size_t k = 0;
    for (; k + fetch_interval <= p->segment_length; k += fetch_interval) {
      UNROLL for (size_t i = 0; i < fetch_interval; i += 2) __builtin_prefetch(next + i * ahead.rows_step);
      next += ahead.rows_step * fetch_interval;
      const float *end = ahead.weights + ahead.weights_step * fetch_interval;
      for (const float *w = ahead.weights; w < end; w += fetched_weights) __builtin_prefetch(w, 0, 2);
      ahead.weights = end;
      if (fetched < height) {
        prefetch(out + fetched * out_stride, vectors);
        if (residual) prefetch(residual + fetched * residual_stride, vectors);
        fetched++;
      }
      UNROLL for (size_t i = 0; i < fetch_interval; i++) {
        product_step(height, vectors, base, stride, i, b, sum);
        b = next_row(b, vectors);
      }
      UNROLL for (size_t q = 0; q < bases; q++) base[q] += fetch_interval;
    }
    for (; k < p->segment_length; k++) {
      product_step(height, vectors, base, stride, 0, b, sum);
      b = next_row(b, vectors);
      UNROLL for (size_t q = 0; q < bases; q++) base[q]++;
    }
  }
  const float low = lower_bound(activation), high = upper_bound(activation);
  UNROLL for (size_t r = 0; r < height; r++) {
    UNROLL for (size_t v = 0; v < vectors; v++) {
      vec x = sum[r][v];
      if (residual) x += load(residual + r * residual_stride + v * WIDTH);
      store(out + r * out_stride + v * WIDTH, clamp(x, low, high));
    }
  }
}

/* Columns of whose last vector the upper half is padding, in vectors of half the width: `height` rows by 1 or 3 of them,
   after which zeros are written. */
#if WIDTH == 16
typedef float half_vec __attribute__((ext_vector_type(WIDTH / 2)));
enum { half_rows = 9 };

INLINE half_vec load_half(const float *from) {
  half_vec v;
  memcpy(&v, from, sizeof v);
  return v;
}

INLINE vec joined(half_vec lower, half_vec upper) {
  return __builtin_shufflevector(lower, upper, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

INLINE void half_tile(
    const ckernels_product *p, const size_t height, const size_t halves, const tile_run *run, int32_t activation) {
  const float *a = run->a, *b = run->b, *residual = run->residual;
  float *out = run->out;
  half_vec sum[half_rows][3];
  UNROLL for (size_t r = 0; r < height; r++) {
    UNROLL for (size_t h = 0; h < halves; h++) {
      const float *start = run->adds ? out + r * p->out_row_stride : run->bias;
      sum[r][h] = start ? load_half(start + h * (WIDTH / 2)) : (half_vec)0;
    }
  }
  UNROLL for (size_t r = 0; r < height; r++) {
    if (residual) prefetch(residual + r * p->residual_row_stride, (halves + 1) / 2);
    prefetch(out + r * p->out_row_stride, (halves + 1) / 2);
  }
  const size_t stride = p->row_stride;
  for (size_t s = 0; s < p->segment_count; s++) {
    const float *base[bases];
    UNROLL for (size_t q = 0; q < bases; q++) base[q] = a + p->segments[s] + 3 * q * stride;
    for (size_t k = 0; k < p->segment_length; k++) {
      half_vec column[3];
      UNROLL for (size_t h = 0; h < halves; h++) column[h] = load_half(b + h * (WIDTH / 2));
      b += (halves + 1) * (WIDTH / 2);
      UNROLL for (size_t r = 0; r < height; r++) {
        const half_vec x = base[r / 3][r % 3 * stride];
        UNROLL for (size_t h = 0; h < halves; h++) sum[r][h] = x * column[h] + sum[r][h];
      }
      UNROLL for (size_t q = 0; q < bases; q++) base[q]++;
    }
  }
  const float low = lower_bound(activation), high = upper_bound(activation);
  UNROLL for (size_t r = 0; r < height; r++) {
    UNROLL for (size_t v = 0; v < (halves + 1) / 2; v++) {
      vec x = joined(sum[r][2 * v], 2 * v + 1 < halves ? sum[r][2 * v + 1] : (half_vec)0);
      if (residual) x += load(residual + r * p->residual_row_stride + v * WIDTH);
      store(out + r * p->out_row_stride + v * WIDTH, clamp(x, low, high));
    }
  }
}
#endif

/* The run without its first `rows` rows, in which there are `tiles` tiles. */
INLINE tile_run below(const ckernels_product *p, tile_run run, size_t rows, size_t tiles) {
  run.tiles -= tiles;
  run.a += rows * p->row_stride;
  run.out += rows * p->out_row_stride;
  if (run.residual) run.residual += rows * p->residual_row_stride;
  run.ahead.weights += tiles * run.ahead.weights_step * p->segment_count * p->segment_length;
  return run;
}

typedef void tile_function(const ckernels_product *, const tile_run *);

#define TILE(kind, height, vectors) \
  static void kind##_##height##_##vectors(const ckernels_product *p, const tile_run *first) { \
    const int32_t bounds = is_clamp(p->activation) ? p->activation : ckernels_none; \
    for (tile_run run = *first; run.tiles > 0; run = below(p, run, height, 1)) { \
      kind(p, height, vectors, &run, bounds); \
      if (bounds != p->activation) activate(run.out, p->out_row_stride, height, run.columns, p->activation); \
    } \
  }
#define TO_6(of, vectors) of(1, vectors) of(2, vectors) of(3, vectors) of(4, vectors) of(5, vectors) of(6, vectors)
#define TO_8(of, vectors) TO_6(of, vectors) of(7, vectors) of(8, vectors)
#define TO_9(of, vectors) TO_8(of, vectors) of(9, vectors)
#define TO_12(of, vectors) TO_9(of, vectors) of(10, vectors) of(11, vectors) of(12, vectors)
#define PRODUCT_TILE(height, vectors) TILE(product_tile, height, vectors)
#define PRODUCT_NAME(height, vectors) product_tile_##height##_##vectors,
#define HALF_TILE(height, halves) TILE(half_tile, height, halves)
#define HALF_NAME(height, halves) half_tile_##height##_##halves,

#if TILE_ROWS == 12
TO_12(PRODUCT_TILE, narrow) TO_12(PRODUCT_TILE, wide) TO_8(PRODUCT_TILE, trio) TO_6(PRODUCT_TILE, quad)
TO_9(HALF_TILE, 1) TO_9(HALF_TILE, 3)
#else
TO_6(PRODUCT_TILE, narrow) TO_6(PRODUCT_TILE, wide)
#endif

/* By vectors and height; of halves whether there are three of them. */
#if TILE_ROWS == 12
static tile_function *const tiles[quad][tile_rows] = {
    {TO_12(PRODUCT_NAME, narrow)}, {TO_12(PRODUCT_NAME, wide)}, {TO_8(PRODUCT_NAME, trio)}, {TO_6(PRODUCT_NAME, quad)}};
static tile_function *const half_tiles[2][half_rows] = {{TO_9(HALF_NAME, 1)}, {TO_9(HALF_NAME, 3)}};
#else
static tile_function *const tiles[wide][tile_rows] = {{TO_6(PRODUCT_NAME, narrow)}, {TO_6(PRODUCT_NAME, wide)}};
#endif

/* What the next columns are computed by. */
typedef struct {
  tile_function *const *tiles;
  size_t most_rows, columns;
} tiling;

/* `left`: columns that there are besides those of a last panel of which half a vector is left out, `halved`. */
INLINE tiling next_tiling(size_t left, size_t halved, size_t rows, size_t depth) {
#if TILE_ROWS == 12
  /* Few rows fill one tile of twelve better than two of six, and deep panels come from far for each tile. */
  enum { least_rows = 9, depth_a_row = 128 };
  const int are_many = rows >= least_rows && depth < depth_a_row * rows;
  if (left == 0) return (tiling){half_tiles[halved == panel], half_rows, halved};
  if (are_many && left == trio * WIDTH) return (tiling){tiles[trio - 1], 2 * tile_rows / trio, left};
  if (are_many && left >= quad * WIDTH && left != (wide + trio) * WIDTH) {
    return (tiling){tiles[quad - 1], 2 * tile_rows / quad, quad * WIDTH};
  }
#else
  (void)halved, (void)rows, (void)depth;
#endif
  return left < panel ? (tiling){tiles[narrow - 1], tile_rows, left} : (tiling){tiles[wide - 1], tile_rows, panel};
}

/* Some rows of the panels, which are `panel_rows` high, from row `first` on. */
typedef struct {
  size_t panel_rows, first;
  int adds;
} part;

/* Where they begin in the panel of column `n`. */
INLINE const float *panel_part(const ckernels_product *p, part some, size_t n) {
  return p->panels + n * some.panel_rows + some.first * (p->columns - n < panel ? p->columns - n : panel);
}

/* A panel or two at a time, so that they stay in the nearest cache while all rows pass; rows are shared out evenly to tiles,
   first the taller ones. */
static void multiply_part(const ckernels_product *p, part some) {
  const size_t depth = p->segment_count * p->segment_length;
  const size_t halved = TILE_ROWS == 12 && p->padding >= WIDTH / 2 ? (p->columns - 1) % panel + 1 : 0;
  for (size_t n = 0, columns; n < p->columns; n += columns) {
    const tiling kind = next_tiling(p->columns - halved - n, halved, p->rows, depth);
    columns = kind.columns;
    const size_t count = (p->rows + kind.most_rows - 1) / kind.most_rows;
    const size_t height = p->rows / count, taller = p->rows % count;
    const float *next = n + columns < p->columns ? panel_part(p, some, n + columns) : p->ahead;
    tile_run run = {
        .columns = columns,
        .b = panel_part(p, some, n),
        .beside = columns > panel ? panel_part(p, some, n + panel) - panel_part(p, some, n) : 0,
        .bias = p->bias ? p->bias + n : NULL,
        .adds = some.adds,
        .ahead = {
            .weights = next ? next : p->panels,
            .weights_step = next ? columns / (p->groups * count) : 0,
            /* Rows that do not lie close together are left where they are. */
            .rows_step = p->row_stride < 2 * depth ? (kind.most_rows * p->row_stride + depth - 1) / depth : 0,
        }};
    for (size_t g = 0; g < p->groups; g++) {
      run.a = p->a + g * p->group_stride;
      run.out = p->out + g * p->out_group_stride + n;
      run.residual = p->residual ? p->residual + g * p->residual_group_stride + n : NULL;
      run.tiles = taller;
      if (taller) kind.tiles[height](p, &run);
      run = below(p, run, taller * (height + 1), taller);
      run.tiles = count - taller;
      kind.tiles[height - 1](p, &run);
      run.ahead.weights += run.tiles * run.ahead.weights_step * depth;
    }
  }
}

/* Panels too deep to stay in the second-level cache beside those that follow pass some rows at a time: sums that wait in `out`
   go on as they were. Where a residual may lie in `out`, or a window is read in pieces, panels pass whole. */
static void multiply(const ckernels_product *p) {
  enum { deep = (1 << 17) / panel, part_rows = deep / 4 };
  if (p->rows == 0) return;
  const size_t depth = p->segment_length;
  if (p->segment_count > 1 || p->residual || depth < deep) {
    multiply_part(p, (part){p->segment_count * depth, 0, 0});
    return;
  }
  ckernels_product q = *p;
  for (size_t first = 0; first < depth; first += q.segment_length, q.a += q.segment_length) {
    const int is_last = depth - first <= part_rows;
    q.segment_length = is_last ? depth - first : part_rows;
    q.activation = is_last ? p->activation : ckernels_none;
    q.ahead = is_last ? p->ahead : panel_part(p, (part){depth, first + part_rows, 0}, 0);
    multiply_part(&q, (part){depth, first, first > 0});
  }
}

static void scale_panels(const float *panels, size_t depth, size_t columns, const float *factors, float *out) {
  for (size_t n = 0; n < columns; n += panel) {
    const size_t width = columns - n < panel ? columns - n : panel;
    for (size_t k = 0; k < depth; k++) {
      const size_t row = n * depth + k * width;
      for (size_t i = 0; i < width; i += WIDTH) store(out + row + i, load(panels + row + i) * factors[k]);
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
