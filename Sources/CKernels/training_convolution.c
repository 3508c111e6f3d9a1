#include "ckernels_training.h"
#include "training_vector.h"

/* A tile of the output, `pixels` × `vectors`, stays in registers while the runs of its patches pass by. Each weight
   vector that is loaded serves all pixels; each input number is spread over a vector. */
#define DEFINE_TILE(NAME, VECTOR, WIDTH, PIXELS, VECTORS)                                                       \
  INLINE void NAME(                                                                                             \
      const training_patches *s, const float *restrict in, const float *restrict weights, float *restrict out,  \
      int32_t accumulate) {                                                                                     \
    VECTOR sum[PIXELS][VECTORS];                                                                                \
    _Pragma("clang loop unroll(full)") for (int p = 0; p < PIXELS; p++)                                         \
        _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                    \
            sum[p][v] = accumulate ? *(const VECTOR *)(out + p * s->out_stride + v * WIDTH) : (VECTOR){0};      \
    const size_t step = s->pixel_stride, length = s->run_length, columns = s->columns;                          \
    for (size_t r = 0; r < s->run_count; r++) {                                                                 \
      const float *x = in + s->runs[r];                                                                         \
      for (size_t t = 0; t < length; t++, weights += columns) {                                                 \
        VECTOR weight[VECTORS];                                                                                 \
        _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                    \
            weight[v] = *(const VECTOR *)(weights + v * WIDTH);                                                 \
        _Pragma("clang loop unroll(full)") for (int p = 0; p < PIXELS; p++)                                     \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                \
                sum[p][v] += x[(size_t)p * step + t] * weight[v];                                               \
      }                                                                                                         \
    }                                                                                                           \
    _Pragma("clang loop unroll(full)") for (int p = 0; p < PIXELS; p++)                                         \
        _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                    \
            *(VECTOR *)(out + p * s->out_stride + v * WIDTH) = sum[p][v];                                       \
  }

DEFINE_TILE(tile_8x32, vector16, 16, 8, 2)
DEFINE_TILE(tile_2x32, vector16, 16, 2, 2)
DEFINE_TILE(tile_1x32, vector16, 16, 1, 2)
DEFINE_TILE(tile_16x16, vector16, 16, 16, 1)
DEFINE_TILE(tile_4x16, vector16, 16, 4, 1)
DEFINE_TILE(tile_1x16, vector16, 16, 1, 1)
DEFINE_TILE(tile_8x8, vector8, 8, 8, 1)
DEFINE_TILE(tile_1x8, vector8, 8, 1, 1)

WIDE void training_convolve(
    const training_patches *s, const float *picture, const float *weights, float *out, int32_t accumulate) {
  for (size_t y = 0; y < s->out_height; y++) {
    const float *in = picture + y * s->row_stride;
    float *row = out + y * s->out_width * s->out_stride;
    size_t first = 0;
#define TILES(NAME, PIXELS) \
  for (; x + PIXELS <= s->out_width; x += PIXELS) \
    NAME(s, in + x * s->pixel_stride, weights + first, row + x * s->out_stride + first, accumulate);
    for (; first + 32 <= s->columns; first += 32) {
      size_t x = 0;
      TILES(tile_8x32, 8)
      TILES(tile_2x32, 2)
      TILES(tile_1x32, 1)
    }
    for (; first + 16 <= s->columns; first += 16) {
      size_t x = 0;
      TILES(tile_16x16, 16)
      TILES(tile_4x16, 4)
      TILES(tile_1x16, 1)
    }
    for (; first + 8 <= s->columns; first += 8) {
      size_t x = 0;
      TILES(tile_8x8, 8)
      TILES(tile_1x8, 1)
    }
  }
}

/* A tile of the weights' gradient, `TAPS` × `VECTORS`, stays in registers while all pixels pass by. */
#define DEFINE_WEIGHT_TILE(NAME, VECTOR, WIDTH, TAPS, VECTORS)                                                \
  INLINE void NAME(                                                                                           \
      const training_patches *s, const float *restrict in, const float *restrict gradient,                    \
      float *restrict weights) {                                                                              \
    VECTOR sum[TAPS][VECTORS];                                                                                \
    _Pragma("clang loop unroll(full)") for (int t = 0; t < TAPS; t++)                                         \
        _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                  \
            sum[t][v] = *(const VECTOR *)(weights + t * s->columns + v * WIDTH);                              \
    for (size_t y = 0; y < s->out_height; y++) {                                                              \
      const float *x = in + y * s->row_stride;                                                                \
      for (size_t p = 0; p < s->out_width; p++, x += s->pixel_stride, gradient += s->out_stride) {            \
        VECTOR g[VECTORS];                                                                                    \
        _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                  \
            g[v] = *(const VECTOR *)(gradient + v * WIDTH);                                                   \
        _Pragma("clang loop unroll(full)") for (int t = 0; t < TAPS; t++)                                     \
            _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++) sum[t][v] += x[t] * g[v];    \
      }                                                                                                       \
    }                                                                                                         \
    _Pragma("clang loop unroll(full)") for (int t = 0; t < TAPS; t++)                                         \
        _Pragma("clang loop unroll(full)") for (int v = 0; v < VECTORS; v++)                                  \
            *(VECTOR *)(weights + t * s->columns + v * WIDTH) = sum[t][v];                                    \
  }

DEFINE_WEIGHT_TILE(taps_12x32, vector16, 16, 12, 2)
DEFINE_WEIGHT_TILE(taps_4x32, vector16, 16, 4, 2)
DEFINE_WEIGHT_TILE(taps_1x32, vector16, 16, 1, 2)
DEFINE_WEIGHT_TILE(taps_24x16, vector16, 16, 24, 1)
DEFINE_WEIGHT_TILE(taps_8x16, vector16, 16, 8, 1)
DEFINE_WEIGHT_TILE(taps_1x16, vector16, 16, 1, 1)
DEFINE_WEIGHT_TILE(taps_8x8, vector8, 8, 8, 1)
DEFINE_WEIGHT_TILE(taps_1x8, vector8, 8, 1, 1)

WIDE void training_convolve_weights(
    const training_patches *s, const float *picture, const float *out_gradient, float *weights) {
  for (size_t r = 0; r < s->run_count; r++) {
    const float *in = picture + s->runs[r];
    float *run = weights + r * s->run_length * s->columns;
    size_t first = 0;
#define TAPS(NAME, COUNT) \
  for (; t + COUNT <= s->run_length; t += COUNT) NAME(s, in + t, out_gradient + first, run + t * s->columns + first);
    for (; first + 32 <= s->columns; first += 32) {
      size_t t = 0;
      TAPS(taps_12x32, 12)
      TAPS(taps_4x32, 4)
      TAPS(taps_1x32, 1)
    }
    for (; first + 16 <= s->columns; first += 16) {
      size_t t = 0;
      TAPS(taps_24x16, 24)
      TAPS(taps_8x16, 8)
      TAPS(taps_1x16, 1)
    }
    for (; first + 8 <= s->columns; first += 8) {
      size_t t = 0;
      TAPS(taps_8x8, 8)
      TAPS(taps_1x8, 1)
    }
  }
}
