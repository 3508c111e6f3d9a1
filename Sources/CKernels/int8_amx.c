#include "amx.h"
#include "int8_bands.h"
#include "int8_vnni.h"

#if defined(__x86_64__)
/* Products of bytes by AMX, which multiplies tiles: 16 windows by 64 bytes times 64 bytes by 16 columns in one instruction
   (tdpbusd). Windows are read where they lie, as VNNI reads them, and weights as it wants them. */

/* Bytes of a piece that a tile takes at once: all of it in equal shares. */
static size_t step_of(size_t piece) {
  for (size_t steps = (piece + amx_row_bytes - 1) / amx_row_bytes; steps * 4 <= piece; steps++)
    if (piece % (4 * steps) == 0) return piece / steps;
  return 4;
}

/* How tiles of equal height cover a run of windows: `count` of them, the last of which overlaps the one before. A run is a
   line, `pitch` its width; or lines that are narrow are one run, `pitch` windows from line to line, some of them nobody's. */
typedef struct {
  size_t height, count, extent, pitch, runs;
} cover;

static cover cover_of(size_t extent, size_t pitch, size_t runs) {
  const size_t count = (extent + amx_rows - 1) / amx_rows;
  return (cover){(extent + count - 1) / count, count, extent, pitch, runs};
}

static cover cover_of_band(const int8_band *b) {
  /* A tile of fewer rows takes hardly less time. */
  enum { fewest = 12 };
  const cover apart = cover_of(b->width, b->width, b->lines);
  if (b->lines == 1 || b->a_line % b->a_stride != 0) return apart;
  const size_t pitch = b->a_line / b->a_stride;
  const cover joined = cover_of((b->lines - 1) * pitch + b->width, pitch, 1);
  const size_t rows = apart.height > fewest ? apart.height : fewest;
  return joined.count * joined.height < apart.count * b->lines * rows ? joined : apart;
}

/* A tile's windows; the rows of sums that have been seen to, the place in its line of the next, and where its result goes. */
typedef struct {
  const uint8_t *a;
  size_t done, rows, x, at;
} tile;

static tile tile_of(const int8_band *b, const cover *c, size_t number) {
  const size_t run = number / c->count, y = run % c->runs, n = run / c->runs;
  const size_t wanted = number % c->count * c->height, start = lesser(wanted, c->extent - c->height);
  const size_t x = wanted % c->pitch, line = y + wanted / c->pitch;
  return (tile){
      .a = b->a + n * b->a_picture + y * b->a_line + start * b->a_stride, .done = wanted - start, .rows = c->height,
      .x = x, .at = (n * b->area + line * b->width + lesser(x, b->width)) * b->output.stride};
}

/* Two neighbouring tiles of windows, or one, and a block of columns: their sums, and which of them become results next:
   `left` rows, of the tile `number`. */
typedef struct {
  int32_t sums[2 * amx_rows * block] __attribute__((aligned(64)));
  tile tiles[2];
  size_t column, columns, number, left, at;
  const int32_t *next;
  int halves;
} pair;

/* Goes on to the next rows that are neighbours and somebody's; none are left at the end. */
static void advance(const int8_band *b, const cover *c, pair *p) {
  p->left = 0;
  for (; p->number < 2; p->number++) {
    tile *t = p->tiles + p->number;
    while (t->done < t->rows && p->left == 0) {
      const size_t rest = t->rows - t->done;
      const size_t count = lesser(rest, (t->x < b->width ? b->width : c->pitch) - t->x);
      if (t->x < b->width) {
        p->left = count;
        p->at = t->at + p->column;
        p->next = p->sums + (p->number * amx_rows + t->done) * words * (size_t)p->halves;
        t->at += count * b->output.stride;
      }
      t->done += count;
      t->x += count;
      if (t->x == c->pitch) t->x = 0;
    }
    if (p->left > 0) return;
  }
}

/* Results of the next `count` groups of rows of a pair, four vectors each. */
AMX INLINE void finish_groups(
    const int halves, const int has_residual, const int is_whole, const int8_band *b, const cover *c, pair *p,
    size_t count) {
  const size_t step = 4 / (size_t)halves, columns = is_whole ? 2 * words : p->columns;
  const ckernels_int8_output o = b->output;
  ckernels_int8_epilogue e = b->epilogue;
  e.scale += p->column;
  e.bias += p->column;
  if (has_residual) {
    __builtin_assume(e.residual != NULL);
    e.residual_scale += p->column;
  } else {
    e.residual = NULL;
  }
  while (count > 0 && p->left > 0) {
    size_t at = p->at, left = p->left;
    const int32_t *sums = p->next;
    for (; count > 0 && left >= step; count--, left -= step, sums += 4 * words, at += step * o.stride)
      finish_rows((const __m512i *)sums, halves, (int)step, columns, &e, o, at);
    if (count > 0 && left > 0) {
      finish_rows((const __m512i *)sums, halves, (int)left, columns, &e, o, at);
      left = 0;
      count--;
    }
    p->next = sums;
    p->at = at;
    p->left = left;
    if (left == 0) advance(b, c, p);
  }
}

typedef void finisher(const int8_band *b, const cover *c, pair *p, size_t count);

#define FINISH(halves, has_residual) \
  AMX static void finish_##halves##_##has_residual(const int8_band *b, const cover *c, pair *p, size_t count) { \
    if (p->columns >= words * halves) finish_groups(halves, has_residual, 1, b, c, p, count); \
    else finish_groups(halves, has_residual, 0, b, c, p, count); \
  }
FINISH(1, 0) FINISH(1, 1) FINISH(2, 0) FINISH(2, 1)
static finisher *const finishers[2][2] = {{finish_1_0, finish_1_1}, {finish_2_0, finish_2_1}};

static inline void finish(const int8_band *b, const cover *c, pair *p, size_t count) {
  if (p->left > 0) finishers[p->halves - 1][b->epilogue.residual != NULL](b, c, p, count);
}

/* The same of all that is left, where it is not bytes right away. */
static void finish_otherwise(const int8_band *b, const cover *c, pair *p) {
  ckernels_int8_epilogue e = moved_epilogue(&b->epilogue, 0, p->column, b->output.stride);
  const ckernels_int8_output o = moved(b->output, 0, p->column);
  for (; p->left > 0; advance(b, c, p))
    int8_vnni_finish_otherwise(p->next, p->left, (size_t)p->halves, p->columns, &e, o, p->at - p->column);
}

/* Sums of up to two tiles of windows by up to two of columns, [tile][window][16 · halves]. While tiles are multiplied, the
   pair before becomes results. */
AMX INLINE void sums_of(
    const int tiles, const int halves, const int8_band *b, const cover *c, size_t step, pair *p, pair *before) {
  /* A pair has as many groups of rows as a tile has rows, or half as many. */
  const size_t steps = b->segment_count * (b->segment_length / step), groups = amx_rows / steps + 1;
  const int8_t *w = b->weights + p->column * b->segment_count * b->segment_length;
  _tile_zero(0);
  if (halves == 2) _tile_zero(1);
  if (tiles == 2) _tile_zero(2);
  if (tiles == 2 && halves == 2) _tile_zero(3);
  for (size_t s = 0; s < b->segment_count; s++) {
    const uint8_t *x = p->tiles[0].a + b->segments[s], *y = p->tiles[1].a + b->segments[s];
    for (size_t k = 0; k < b->segment_length; k += step, w += step * block) {
      _tile_loadd(4, x + k, b->a_stride);
      _tile_loadd(6, w, 4 * block);
      _tile_dpbusd(0, 4, 6);
      if (tiles == 2) {
        _tile_loadd(5, y + k, b->a_stride);
        _tile_dpbusd(2, 5, 6);
      }
      if (halves == 2) {
        _tile_loadd(7, w + amx_row_bytes, 4 * block);
        _tile_dpbusd(1, 4, 7);
        if (tiles == 2) _tile_dpbusd(3, 5, 7);
      }
      finish(b, c, before, groups);
    }
  }
  finish(b, c, before, SIZE_MAX);
  const int row = words * halves;
  _tile_stored(0, p->sums, 4 * row);
  if (halves == 2) _tile_stored(1, p->sums + words, 4 * row);
  if (tiles == 2) _tile_stored(2, p->sums + amx_rows * row, 4 * row);
  if (tiles == 2 && halves == 2) _tile_stored(3, p->sums + amx_rows * row + words, 4 * row);
}

/* Whether all columns meet a pair of tiles before the next pair comes. Weights that lie far are fetched once for all windows
   instead; so is a block of them that windows of many pieces, which overlap, leave room for in the nearest cache. */
static int is_by_rows(const int8_band *b, size_t depth) {
  enum { second_cache = 1 << 20, nearest = 40 << 10, half_of_nearest = 24 << 10 };
  const size_t all = (b->columns + block - 1) / block * block * depth;
  if (all > second_cache) return 0;
  return b->segment_count == 1 || all <= half_of_nearest || block * depth > nearest;
}

AMX static void multiply_tiles(const int8_band *b, size_t step) {
  const size_t depth = b->segment_count * b->segment_length;
  const cover c = cover_of_band(b);
  const size_t tiles = b->pictures * c.runs * c.count, rows = (tiles + 1) / 2, columns = (b->columns + block - 1) / block;
  const int by_rows = is_by_rows(b, depth), is_otherwise = b->epilogue.activation || b->output.floats;
  pair pairs[2];
  pairs[1].left = 0;
  amx_configure(c.height, step);
  for (size_t i = 0; i < rows * columns; i++) {
    pair *p = pairs + i % 2, *before = pairs + (i + 1) % 2;
    const size_t first = 2 * (by_rows ? i / columns : i % rows);
    p->column = (by_rows ? i % columns : i / rows) * block;
    p->columns = b->columns - p->column;
    p->halves = p->columns > words ? 2 : 1;
    p->tiles[0] = tile_of(b, &c, first);
    p->tiles[1] = first + 1 < tiles ? tile_of(b, &c, first + 1) : (tile){.a = p->tiles[0].a};
    if (p->tiles[1].rows > 0) {
      if (p->halves == 2) sums_of(2, 2, b, &c, step, p, before);
      else sums_of(2, 1, b, &c, step, p, before);
    } else {
      if (p->halves == 2) sums_of(1, 2, b, &c, step, p, before);
      else sums_of(1, 1, b, &c, step, p, before);
    }
    p->number = 0;
    advance(b, &c, p);
    if (is_otherwise) finish_otherwise(b, &c, p);
  }
  _tile_release();
  finish(b, &c, pairs + (rows * columns + 1) % 2, SIZE_MAX);
}

/* A step of so few bytes gains nothing; a piece of 116 channels can only be shared out by four. */
enum { least_step = 12 };

static void multiply_band(const int8_band *b) {
  const size_t step = step_of(b->segment_length);
  if (step < least_step) int8_vnni_band(b);
  else multiply_tiles(b, step);
}

static void multiply(const ckernels_int8_product *p) { int8_as_band(p, multiply_band); }

static void convolve(
    const ckernels_int8_window *w, size_t images, const uint8_t *in, size_t length, const int8_t *weights,
    size_t outputs, const ckernels_int8_epilogue *epilogue, ckernels_int8_output output, void *scratch) {
  int8_each_band(w, images, in, length, weights, outputs, epilogue, output, scratch, multiply_band);
}

const ckernels_int8_table int8_amx_table = {
    .pack = int8_blocks_pack,
    .multiply = multiply,
    .takes_all_rows = 1,
    .multiply_scratch = int8_no_scratch,
    .pack_depthwise = int8_vnni_pack_depthwise,
    .depthwise = int8_vnni_depthwise,
    .convolve = convolve,
    .convolve_scratch = int8_band_scratch,
};
#endif
