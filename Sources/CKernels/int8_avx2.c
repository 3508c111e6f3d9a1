#include "int8_avx2_lists.h"
#include <string.h>

#if defined(__x86_64__)
/* [16 channels][pair of taps][16][2] in 16 bits */
static size_t pack_depthwise(
    const int8_t *weights, size_t channels, size_t kernel_h, size_t kernel_w, int8_t *packed) {
  const size_t taps = kernel_h * kernel_w, pairs = (taps + 1) / 2, size = (channels + 15) / 16 * pairs * 32 * sizeof(int16_t);
  if (!packed) return size;
  memset(packed, 0, size);
  int16_t *wide = (int16_t *)packed;
  for (size_t c = 0; c < channels; c++)
    for (size_t t = 0; t < taps; t++) wide[(c / 16 * pairs + t / 2) * 32 + c % 16 * 2 + t % 2] = weights[c * taps + t];
  return size;
}

static size_t wide_depth(size_t depth) { return (depth + 15) / 16 * 16; }

static size_t multiply_scratch(size_t rows, size_t depth) { return rows * wide_depth(depth) * sizeof(int16_t); }

/* As many as leave registers for two fours' weights. */
enum { tile_rows = 11 };

/* Results for one vector of columns of `tiles` times `rows` rows, one after the other. What is read of weights comes from
   far in the first of them, and is asked for in time. */
AVX2 INLINE void tiles_of(
    const int rows, size_t tiles, const ckernels_int8_product *p, const lists *l, size_t first_row, size_t column) {
  const size_t a_stride = p->a_stride, wide_stride = wide_depth(p->depth), stride = p->output.stride;
  const uint8_t *a = p->a + first_row * a_stride;
  const int16_t *wide = (const int16_t *)p->scratch + first_row * wide_stride;
  const __m256i ones = _mm256_set1_epi16(1);
  outcome to = outcome_of(&p->epilogue, stride, (place){first_row, column});
  for (size_t at = first_row * stride + column; tiles > 0; tiles--, at += (size_t)rows * stride) {
    const uint32_t *next = (const uint32_t *)(p->weights + l->rows);
    const int8_t *w = p->weights + l->weights;
    __m256i sum[tile_rows];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) sum[r] = _mm256_setzero_si256();
    for (size_t i = 0; i < l->paired; i += 2, w += 2 * four) {
      const __m256i left = _mm256_load_si256((const __m256i *)w), right = _mm256_load_si256((const __m256i *)(w + four));
      const uint8_t *x = a + next[0], *y = a + next[1];
      next += 2;
      __builtin_prefetch(w + 32 * four);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
        sum[r] = plus_eight(sum[r], x + (size_t)r * a_stride, y + (size_t)r * a_stride, left, right, ones);
    }
    for (size_t i = l->paired; i < l->narrow; i++, w += four) {
      const __m256i weights = _mm256_load_si256((const __m256i *)w);
      const uint8_t *x = a + *next++;
      __builtin_prefetch(w + 32 * four);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) sum[r] = plus_four(sum[r], x + (size_t)r * a_stride, weights, ones);
    }
    for (size_t i = 0; i < l->wide; i++, w += 2 * four) {
      const __m256i left = _mm256_load_si256((const __m256i *)w), right = _mm256_load_si256((const __m256i *)(w + four));
      const int16_t *x = wide + *next++;
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        sum[r] = plus_pair(sum[r], x + (size_t)r * wide_stride, left);
        sum[r] = plus_pair(sum[r], x + (size_t)r * wide_stride + 2, right);
      }
    }
    finish(rows, sum, p->columns - column, &to, &p->epilogue, p->output, at);
    a += (size_t)rows * a_stride;
    wide += (size_t)rows * wide_stride;
    if (to.residual) to.residual += (size_t)rows * stride;
  }
}

typedef void (*tile_kernel)(size_t tiles, const ckernels_int8_product *, const lists *, size_t row, size_t column);

#define TILES(rows)                                                                                             \
  AVX2 static void tiles_##rows(                                                                                \
      size_t tiles, const ckernels_int8_product *p, const lists *l, size_t row, size_t column) {                \
    tiles_of(rows, tiles, p, l, row, column);                                                                   \
  }
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
EACH_ROWS(TILES)
#define NAME(rows) tiles_##rows,
static const tile_kernel kernels[tile_rows] = {EACH_ROWS(NAME)};

AVX2 static void widen(const ckernels_int8_product *p) {
  int16_t *out = p->scratch;
  for (size_t row = 0; row < p->rows; row++, out += wide_depth(p->depth))
    for (size_t k = 0; k < p->depth; k += 16)
      _mm256_store_si256(
          (__m256i *)(out + k),
          _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(p->a + row * p->a_stride + k))));
}

static void multiply(const ckernels_int8_product *p) {
  const lists *heads = (const lists *)p->weights;
  if (p->rows == 0) return;
  /* Equal shares of the rows, so that the last tile is no sliver: first the taller ones. */
  const size_t tiles = (p->rows + tile_rows - 1) / tile_rows, height = p->rows / tiles, taller = p->rows % tiles;
  int is_widened = 0;
  for (size_t column = 0; column < p->columns; column += vector) {
    const lists *l = heads + column / vector;
    if (l->wide && !is_widened) {
      widen(p);
      is_widened = 1;
    }
    if (taller) kernels[height](taller, p, l, 0, column);
    kernels[height - 1](tiles - taller, p, l, taller * (height + 1), column);
  }
}

/* Bytes of two taps side by side, widened, times their weights: the sums of sixteen channels. */
AVX2 INLINE void add_taps(
    const uint8_t *const *taps, size_t c, const size_t pairs, const int16_t *weights, __m256i sum[2]) {
  sum[0] = sum[1] = _mm256_setzero_si256();
  for (size_t p = 0; p < pairs; p++, weights += 32) {
    const __m128i a = _mm_loadu_si128((const __m128i *)(taps[2 * p] + c));
    const __m128i b = _mm_loadu_si128((const __m128i *)(taps[2 * p + 1] + c));
    const __m256i low = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
    const __m256i high = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
    sum[0] = _mm256_add_epi32(sum[0], _mm256_madd_epi16(low, _mm256_load_si256((const __m256i *)weights)));
    sum[1] = _mm256_add_epi32(sum[1], _mm256_madd_epi16(high, _mm256_load_si256((const __m256i *)(weights + 16))));
  }
}

/* Without an activation, whole sixteens of channels meet what concerns them all in registers. */
AVX2 INLINE void lanes_of_pixel(
    const uint8_t *const *taps, const size_t pairs, const int16_t *weights, size_t channels,
    const ckernels_int8_epilogue *e, uint8_t *out) {
  size_t c = 0;
  if (!e->activation) {
    const float *scale = e->scale, *bias = e->bias;
    const __m256 high = _mm256_set1_ps(e->high);
    const __m128i low = _mm_set1_epi8((char)(uint8_t)e->low);
    for (; c + 16 <= channels; c += 16, weights += 32 * pairs) {
      __m256i sum[2];
      add_taps(taps, c, pairs, weights, sum);
      for (int h = 0; h < 2; h++) {
        const size_t at = c + 8 * (size_t)h;
        const __m256 v =
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[h]), _mm256_loadu_ps(scale + at), _mm256_loadu_ps(bias + at));
        sum[h] = quanta8(v, high);
      }
      _mm_storeu_si128((__m128i *)(out + c), packed16(sum[0], sum[1], low));
    }
  }
  for (; c < channels; c += 16, weights += 32 * pairs) {
    __m256i sum[2];
    add_taps(taps, c, pairs, weights, sum);
    finish_wide(sum, channels - c, e, (ckernels_int8_output){.bytes = out}, (place){0, c});
  }
}

AVX2 static void pixel(
    const uint8_t *const *taps, size_t count, const int8_t *weights, size_t channels, const ckernels_int8_epilogue *e,
    uint8_t *out) {
  const int16_t *wide = (const int16_t *)weights;
  if (count == 9) lanes_of_pixel(taps, 5, wide, channels, e, out);
  else lanes_of_pixel(taps, (count + 1) / 2, wide, channels, e, out);
}

static void depthwise(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output) {
  int8_each_pixel(w, in, weights, epilogue, output, pixel);
}

const ckernels_int8_table int8_avx2_table = {
    .pack = int8_avx2_pack,
    .multiply = multiply,
    .multiply_scratch = multiply_scratch,
    .pack_depthwise = pack_depthwise,
    .depthwise = depthwise,
    .pack_winograd = int8_avx2_pack_winograd,
    .winograd = int8_avx2_winograd,
    .winograd_scratch = int8_avx2_winograd_scratch,
};
#endif
