#include "int8_avx2.h"

#if defined(__x86_64__)
/* Winograd's F(2×2,3×3) (Lavin and Gray, 2015) in whole numbers: 4×4 bytes become 16 frequencies of at most 1020, weights
   times four 16 of at most 1143, and a quarter of the results are the very sums of direct convolution. Frequencies fit
   16 bits, products 32; what passes 32 bits on the way wraps back, as only sums and differences follow. */

/* Weights lie in panels of 16 outputs, [panel][16 frequencies][depth/2][16][2]. */
enum { frequencies = 16, depth_grain = 16, panel = 16 };

static size_t wide_depth(size_t channels) { return (channels + depth_grain - 1) / depth_grain * depth_grain; }

/* One-dimensional: what stands at g[0], g[step], g[2·step], twice its worth. */
AVX2 INLINE void weight_transform(const __m256i *g, size_t step, __m256i *u, size_t out_step) {
  const __m256i outer = _mm256_add_epi16(g[0], g[2 * step]);
  u[0] = _mm256_add_epi16(g[0], g[0]);
  u[out_step] = _mm256_add_epi16(outer, g[step]);
  u[2 * out_step] = _mm256_sub_epi16(outer, g[step]);
  u[3 * out_step] = _mm256_add_epi16(g[2 * step], g[2 * step]);
}

/* The frequencies of sixteen 3×3 weights, four times their worth: of weights [9][2 · panel] to `stride` apart. */
AVX2 INLINE void weight_frequencies(const int16_t *weights, int16_t *out, size_t stride) {
  __m256i g[9], half[12], u[frequencies];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < 9; i++) g[i] = _mm256_load_si256((const __m256i *)(weights + i * 2 * panel));
#pragma clang loop unroll(full)
  for (size_t x = 0; x < 3; x++) weight_transform(g + x, 3, half + x, 3);
#pragma clang loop unroll(full)
  for (size_t y = 0; y < 4; y++) weight_transform(half + 3 * y, 1, u + 4 * y, 1);
#pragma clang loop unroll(full)
  for (size_t f = 0; f < frequencies; f++) _mm256_storeu_si256((__m256i *)(out + f * stride), u[f]);
}

/* Two channels of a panel's outputs at a time, which are whole lines of the packed weights. */
AVX2 size_t int8_avx2_pack_winograd(const int8_t *weights, size_t outputs, size_t channels, int8_t *packed) {
  const size_t depth = wide_depth(channels);
  if (packed) {
    for (size_t first = 0; first < outputs; first += panel) {
      for (size_t k = 0; k < depth; k += 2) {
        _Alignas(32) int16_t pairs[9][2 * panel] = {0};
        for (size_t n = first; n < lesser(first + panel, outputs); n++) {
          for (size_t c = k; c < lesser(k + 2, channels); c++) {
            const int8_t *window = weights + (n * channels + c) * 9;
            for (size_t i = 0; i < 9; i++) pairs[i][(n - first) * 2 + c - k] = window[i];
          }
        }
        int16_t *line = (int16_t *)packed + first * frequencies * depth + k * panel;
        weight_frequencies(*pairs, line, depth * panel);
        weight_frequencies(*pairs + panel, line + panel, depth * panel);
      }
    }
  }
  return (outputs + panel - 1) / panel * panel * frequencies * depth * sizeof(int16_t);
}

/* Tiles that pass at a time: their frequencies stay in the second-level cache. */
static size_t tiles_at_once(size_t channels) {
  const size_t fitting = 16384 / wide_depth(channels) / 6 * 6;
  return fitting < 12 ? 12 : lesser(fitting, 60);
}

size_t int8_avx2_winograd_scratch(size_t channels) {
  return tiles_at_once(channels) * frequencies * (wide_depth(channels) * sizeof(int16_t) + panel * sizeof(int32_t));
}

enum { tile_rows = 6 };

AVX2 INLINE void data_transform(__m256i *x, size_t step) {
  const __m256i a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
  x[0] = _mm256_sub_epi16(a, c);
  x[step] = _mm256_add_epi16(b, c);
  x[2 * step] = _mm256_sub_epi16(c, b);
  x[3 * step] = _mm256_sub_epi16(d, b);
}

/* A tile of the images' tiles, by number: its image and its first output pixel. */
typedef struct {
  size_t image, y, x;
} tile_place;

static tile_place place_of(const ckernels_int8_window *w, size_t number) {
  const size_t across = (w->out_width + 1) / 2, down = (w->out_height + 1) / 2, within = number % (across * down);
  return (tile_place){number / (across * down), within / across * 2, within % across * 2};
}

/* Where the 4×4 pixels of a tile lie. */
static void find_pixels(const ckernels_int8_window *w, const uint8_t *in, tile_place t, const uint8_t *pixels[16]) {
  in += t.image * w->height * w->width * w->stride;
  for (size_t i = 0; i < 16; i++) {
    const size_t y = t.y + i / 4 - w->top, x = t.x + i % 4 - w->left;
    pixels[i] = y < w->height && x < w->width ? in + (y * w->width + x) * w->stride : w->outside;
  }
}

/* Frequencies of one tile's channels, each frequency `stride` from the one before. */
AVX2 static void tile_frequencies(const uint8_t *const pixels[16], size_t channels, int16_t *out, size_t stride) {
  for (size_t c = 0; c < channels; c += 16) {
    __m256i x[16];
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) x[i] = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(pixels[i] + c)));
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) data_transform(x + i, 4);
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) data_transform(x + 4 * i, 1);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < 16; i++) _mm256_store_si256((__m256i *)(out + i * stride + c), x[i]);
  }
}

AVX2 INLINE void result_transform(const __m256i *x, size_t step, __m256i *y, size_t out_step) {
  y[0] = _mm256_add_epi32(_mm256_add_epi32(x[0], x[step]), x[2 * step]);
  y[out_step] = _mm256_add_epi32(_mm256_sub_epi32(x[step], x[2 * step]), x[3 * step]);
}

/* The four sums of a tile for 8 of its columns; frequencies are `stride` apart. */
AVX2 INLINE void tile_sums(const int32_t *products, size_t stride, __m256i sum[4]) {
  __m256i x[16], half[8];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < 16; i++) x[i] = _mm256_load_si256((const __m256i *)(products + i * stride));
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) result_transform(x + i, 4, half + i, 4);
#pragma clang loop unroll(full)
  for (int i = 0; i < 2; i++) result_transform(half + 4 * i, 1, sum + 2 * i, 1);
  for (int i = 0; i < 4; i++) sum[i] = _mm256_srai_epi32(sum[i], 2);
}

AVX2 INLINE void product_tile(const int rows, const int16_t *a, size_t depth, const int16_t *b, int32_t *out) {
  __m256i sum[tile_rows][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
  for (size_t k = 0; k < depth; k += 2, b += 2 * panel) {
    const __m256i w0 = _mm256_load_si256((const __m256i *)b), w1 = _mm256_load_si256((const __m256i *)(b + panel));
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) plus_pair_of_two(sum[r], a + (size_t)r * depth + k, w0, w1);
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int h = 0; h < 2; h++) _mm256_store_si256((__m256i *)(out + panel * r + 8 * h), sum[r][h]);
}

typedef void (*tile_kernel)(const int16_t *, size_t, const int16_t *, int32_t *);
#define TILE(rows) \
  AVX2 static void tile_##rows(const int16_t *a, size_t depth, const int16_t *b, int32_t *out) { \
    product_tile(rows, a, depth, b, out); \
  }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
static const tile_kernel tiles[tile_rows] = {tile_1, tile_2, tile_3, tile_4, tile_5, tile_6};

/* Results of one tile's pixels inside the picture for the 16 columns from `column` on. */
AVX2 static void finish_tile(
    const ckernels_int8_window *w, tile_place t, size_t column, size_t count, const int32_t *products, size_t stride,
    const ckernels_int8_epilogue *epilogue, ckernels_int8_output output) {
  __m256i low[4], high[4];
  tile_sums(products, stride, low);
  tile_sums(products + 8, stride, high);
  for (size_t i = 0; i < 4; i++) {
    const size_t y = t.y + i / 2, x = t.x + i % 2;
    if (y >= w->out_height || x >= w->out_width) continue;
    const size_t pixel = (t.image * w->out_height + y) * w->out_width + x;
    const __m256i sum[2] = {low[i], high[i]};
    finish_wide(sum, count, epilogue, output, (place){pixel, column});
  }
}

void int8_avx2_winograd(
    const ckernels_int8_window *w, size_t images, const uint8_t *in, const int8_t *weights, size_t outputs,
    const ckernels_int8_epilogue *epilogue, ckernels_int8_output output, void *scratch) {
  const size_t depth = wide_depth(w->channels), most = tiles_at_once(w->channels);
  const size_t all = images * ((w->out_width + 1) / 2) * ((w->out_height + 1) / 2);
  int16_t *data = scratch;
  int32_t *products = (int32_t *)(data + most * frequencies * depth);
  for (size_t first = 0; first < all; first += most) {
    const size_t count = lesser(most, all - first);
    for (size_t t = 0; t < count; t++) {
      const uint8_t *pixels[16];
      find_pixels(w, in, place_of(w, first + t), pixels);
      tile_frequencies(pixels, w->channels, data + t * depth, count * depth);
    }
    for (size_t column = 0; column < outputs; column += panel) {
      for (size_t f = 0; f < frequencies; f++) {
        const int16_t *b = (const int16_t *)weights + (column * frequencies + f * panel) * depth;
        size_t row = 0;
        for (size_t left = (count + tile_rows - 1) / tile_rows; left > 0; left--) {
          const size_t rows = share(count - row, left);
          tiles[rows - 1](data + (f * count + row) * depth, depth, b, products + (f * count + row) * panel);
          row += rows;
        }
      }
      for (size_t t = 0; t < count; t++)
        finish_tile(
            w, place_of(w, first + t), column, outputs - column, products + t * panel, count * panel, epilogue, output);
    }
  }
}
#endif
