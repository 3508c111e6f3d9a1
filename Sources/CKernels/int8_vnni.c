#include "int8_vnni.h"
#include "int8_bands.h"
#include <string.h>

#if defined(__x86_64__)
/* Products of bytes by AVX-512 VNNI, which multiplies four pairs and adds them up in one instruction (vpdpbusd). Windows are
   read where they lie: a row of a window is one segment, and the windows of a line of results start at equal steps. */

enum { most_rows = 12 };

/* Neighbouring rows that meet one block of columns. */
typedef struct {
  const uint8_t *a;
  size_t a_stride;
  /* What is multiplied of each row: pieces of equal length, a multiple of 4, from these bytes on. */
  const size_t *segments;
  size_t segment_count, segment_length;
  const int8_t *weights;
  /* From the block's first on; more than the block may be left. */
  size_t columns;
  ckernels_int8_epilogue epilogue;
  ckernels_int8_output output;
} line;

VNNI void int8_vnni_finish_otherwise(
    const int32_t *sums, size_t rows, size_t halves, size_t columns, const ckernels_int8_epilogue *e,
    ckernels_int8_output o, size_t at) {
  const size_t count = lesser(columns, words * halves);
  for (size_t r = 0; r < rows; r++, sums += words * halves, at += o.stride) {
    __m512 v[4] = {0};
    for (size_t h = 0; h < halves; h++) {
      v[h] = value16(_mm512_loadu_si512(sums + words * h), e->scale + words * h, e->bias + words * h);
      if (!e->residual) continue;
      const __m512i other = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(e->residual + at + words * h)));
      v[h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(other), _mm512_loadu_ps(e->residual_scale + words * h), v[h]);
    }
    float real[4 * words];
    for (int i = 0; i < 4; i++) _mm512_storeu_ps(real + words * i, v[i]);
    if (e->activation) ckernels_int8_activate(real, words * halves, e->activation);
    if (o.floats) {
      memcpy(o.floats + at, real, count * sizeof(float));
      continue;
    }
    uint8_t bytes[2 * words];
    const __m512 quanta = _mm512_set1_ps(e->quanta), zero = _mm512_set1_ps(e->zero), high = _mm512_set1_ps(e->high);
    for (size_t h = 0; h < halves; h++) {
      const __m512i x = quanta16(_mm512_fmadd_ps(_mm512_loadu_ps(real + words * h), quanta, zero), high);
      const __m512i positive = _mm512_max_epi32(x, _mm512_set1_epi32((int)e->low));
      _mm_storeu_si128((__m128i *)(bytes + words * h), _mm512_cvtusepi32_epi8(positive));
    }
    memcpy(o.bytes + at, bytes, count);
  }
}

/* `tiles` times `rows` rows, one after the other, by one or two vectors of columns. */
VNNI INLINE void tiles_of(const int rows, const int halves, const line *l, size_t tiles) {
  const size_t a_stride = l->a_stride, stride = l->output.stride;
  const ckernels_int8_epilogue *e = &l->epilogue;
  const uint8_t *first_row = l->a;
  for (size_t at = 0; tiles > 0; tiles--, at += (size_t)rows * stride, first_row += (size_t)rows * a_stride) {
    __m512i sum[most_rows * 2];
    UNROLL for (int i = 0; i < rows * halves; i++) sum[i] = _mm512_setzero_si512();
    const int8_t *w = l->weights;
    for (size_t s = 0; s < l->segment_count; s++) {
      const uint8_t *a = first_row + l->segments[s];
      for (const uint8_t *end = a + l->segment_length; a < end; a += 4, w += 4 * block) {
        const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
        UNROLL for (int r = 0; r < rows; r++) {
          int32_t four;
          memcpy(&four, a + (size_t)r * a_stride, 4);
          const __m512i x = _mm512_set1_epi32(four);
          sum[r * halves] = _mm512_dpbusd_epi32(sum[r * halves], x, w0);
          if (halves == 2) sum[r * 2 + 1] = _mm512_dpbusd_epi32(sum[r * 2 + 1], x, w1);
        }
      }
    }
    if (e->activation || l->output.floats) {
      int32_t sums[most_rows * 2 * words];
      UNROLL for (int i = 0; i < rows * halves; i++) _mm512_storeu_si512(sums + words * i, sum[i]);
      int8_vnni_finish_otherwise(sums, (size_t)rows, (size_t)halves, l->columns, e, l->output, at);
      continue;
    }
    UNROLL for (int row = 0; row < rows; row += 4 / halves)
      finish_rows(sum + row * halves, halves, rows - row, l->columns, e, l->output, at + (size_t)row * stride);
  }
}

typedef void tile_kernel(const line *, size_t tiles);

#define TILES(rows, halves) \
  VNNI static void tiles_##rows##_##halves(const line *l, size_t tiles) { tiles_of(rows, halves, l, tiles); }
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define BOTH(rows) TILES(rows, 1) TILES(rows, 2)
EACH_ROWS(BOTH)
#define NAMES(rows) {tiles_##rows##_1, tiles_##rows##_2},
static tile_kernel *const kernels[most_rows][2] = {EACH_ROWS(NAMES)};

static line below(line l, size_t rows) {
  l.a += rows * l.a_stride;
  l.output = moved(l.output, rows, 0);
  if (l.epilogue.residual) l.epilogue.residual += rows * l.output.stride;
  return l;
}

/* All rows of a line in equal shares, so that the last tile is no sliver: first the taller ones. */
static void multiply_line(const line *l, size_t rows) {
  const size_t tiles = (rows + most_rows - 1) / most_rows, height = rows / tiles, taller = rows % tiles;
  const int is_wide = l->columns > words;
  if (taller) {
    kernels[height][is_wide](l, taller);
    const line rest = below(*l, taller * (height + 1));
    kernels[height - 1][is_wide](&rest, tiles - taller);
  } else {
    kernels[height - 1][is_wide](l, tiles);
  }
}

void int8_vnni_band(const int8_band *b) {
  const size_t depth = b->segment_count * b->segment_length;
  line l = {
      .a_stride = b->a_stride, .segments = b->segments, .segment_count = b->segment_count,
      .segment_length = b->segment_length};
  for (size_t column = 0; column < b->columns; column += block) {
    l.weights = b->weights + column * depth;
    l.columns = b->columns - column;
    for (size_t n = 0; n < b->pictures; n++) {
      for (size_t y = 0; y < b->lines; y++) {
        const size_t row = n * b->area + y * b->width;
        l.a = b->a + n * b->a_picture + y * b->a_line;
        l.epilogue = moved_epilogue(&b->epilogue, row, column, b->output.stride);
        l.output = moved(b->output, row, column);
        multiply_line(&l, b->width);
      }
    }
  }
}

static void multiply(const ckernels_int8_product *p) { int8_as_band(p, int8_vnni_band); }

static void convolve(
    const ckernels_int8_window *w, size_t images, const uint8_t *in, size_t length, const int8_t *weights,
    size_t outputs, const ckernels_int8_epilogue *epilogue, ckernels_int8_output output, void *scratch) {
  int8_each_band(w, images, in, length, weights, outputs, epilogue, output, scratch, int8_vnni_band);
}

const ckernels_int8_table int8_vnni_table = {
    .pack = int8_blocks_pack,
    .multiply = multiply,
    .multiply_scratch = int8_no_scratch,
    .pack_depthwise = int8_vnni_pack_depthwise,
    .depthwise = int8_vnni_depthwise,
    .convolve = convolve,
    .convolve_scratch = int8_band_scratch,
};
#endif
