#include "ckernels_training.h"
#include "training_activation.h"

/* Each function goes down the pixels once for each block of channels, whose constants and sums stay in registers. */

INLINE void moments(
    const size_t width, const float *restrict x, size_t pixels, size_t channels, const float *restrict origin,
    float *restrict sum, float *restrict square) {
  float s[64] = {0}, q[64] = {0}, o[64];
  for (size_t c = 0; c < width; c++) o[c] = origin[c];
  for (size_t p = 0; p < pixels; p++, x += channels) {
    for (size_t c = 0; c < width; c++) {
      const float d = x[c] - o[c];
      s[c] += d;
      q[c] += d * d;
    }
  }
  for (size_t c = 0; c < width; c++) sum[c] = s[c], square[c] = q[c];
}

WIDE void training_moments(
    const float *x, size_t pixels, size_t channels, const float *origin, float *sum, float *square) {
#define LOOP(width, f) moments(width, x + f, pixels, channels, origin + f, sum + f, square + f)
  EACH_BLOCK(channels, LOOP);
#undef LOOP
}

INLINE void normalise(
    const size_t width, const int32_t activation, const float *restrict x, size_t pixels, size_t channels,
    const float *restrict scale, const float *restrict shift, float *restrict out) {
  float a[64], b[64];
  for (size_t c = 0; c < width; c++) a[c] = scale[c], b[c] = shift[c];
  for (size_t p = 0; p < pixels; p++, x += channels, out += channels) {
    for (size_t c = 0; c < width; c++) out[c] = training_apply(x[c] * a[c] + b[c], activation);
  }
}

WIDE void training_normalise(
    const float *x, size_t pixels, size_t channels, const float *scale, const float *shift, int32_t activation,
    float *out) {
#define LOOP(width, f) normalise(width, activation_, x + f, pixels, channels, scale + f, shift + f, out + f)
#define ONE(kind) do { enum { activation_ = kind }; EACH_BLOCK(channels, LOOP); } while (0)
  EACH_ACTIVATION(activation, ONE)
#undef ONE
#undef LOOP
}

INLINE void sums(
    const size_t width, const int32_t activation, const float *restrict x, const float *restrict gradient,
    size_t pixels, size_t channels, const float *restrict scale, const float *restrict shift,
    const float *restrict mean, float *restrict sum, float *restrict dot) {
  float a[64], b[64], m[64], s[64] = {0}, d[64] = {0};
  for (size_t c = 0; c < width; c++) a[c] = scale[c], b[c] = shift[c], m[c] = mean[c];
  for (size_t p = 0; p < pixels; p++, x += channels, gradient += channels) {
    for (size_t c = 0; c < width; c++) {
      const float g = training_slope(gradient[c], x[c] * a[c] + b[c], activation);
      s[c] += g;
      d[c] += g * (x[c] - m[c]);
    }
  }
  for (size_t c = 0; c < width; c++) sum[c] = s[c], dot[c] = d[c];
}

WIDE void training_normalise_sums(
    const float *x, const float *gradient, size_t pixels, size_t channels, const float *scale, const float *shift,
    const float *mean, int32_t activation, float *sum, float *dot) {
#define LOOP(width, f)                                                                                        \
  sums(width, activation_, x + f, gradient + f, pixels, channels, scale + f, shift + f, mean + f, sum + f, dot + f)
#define ONE(kind) do { enum { activation_ = kind }; EACH_BLOCK(channels, LOOP); } while (0)
  EACH_ACTIVATION(activation, ONE)
#undef ONE
#undef LOOP
}

/* `in_gradient` may be `gradient`. */
INLINE void norm_input(
    const size_t width, const int32_t activation, const float *restrict x, const float *gradient, size_t pixels,
    size_t channels, const float *restrict scale, const float *restrict shift, const float *restrict mean,
    const float *restrict slope, const float *restrict offset, float *out, int32_t accumulate) {
  float a[64], b[64], m[64], k[64], o[64];
  for (size_t c = 0; c < width; c++) a[c] = scale[c], b[c] = shift[c], m[c] = mean[c], k[c] = slope[c], o[c] = offset[c];
  for (size_t p = 0; p < pixels; p++, x += channels, gradient += channels, out += channels) {
    float result[64];
    for (size_t c = 0; c < width; c++) {
      const float g = training_slope(gradient[c], x[c] * a[c] + b[c], activation);
      result[c] = g * a[c] + (x[c] - m[c]) * k[c] + o[c];
    }
    if (accumulate) {
      for (size_t c = 0; c < width; c++) out[c] += result[c];
    } else {
      for (size_t c = 0; c < width; c++) out[c] = result[c];
    }
  }
}

WIDE void training_normalise_input(
    const float *x, const float *gradient, size_t pixels, size_t channels, const float *scale, const float *shift,
    const float *mean, const float *slope, const float *offset, int32_t activation, float *in_gradient,
    int32_t accumulate) {
#define LOOP(width, f)                                                                                         \
  norm_input(                                                                                                  \
      width, activation_, x + f, gradient + f, pixels, channels, scale + f, shift + f, mean + f, slope + f,    \
      offset + f, in_gradient + f, accumulate)
#define ONE(kind) do { enum { activation_ = kind }; EACH_BLOCK(channels, LOOP); } while (0)
  EACH_ACTIVATION(activation, ONE)
#undef ONE
#undef LOOP
}
