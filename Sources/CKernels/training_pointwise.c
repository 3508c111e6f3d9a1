#include "ckernels_training.h"
#include "training_activation.h"

WIDE void training_activate(const float *x, size_t count, int32_t activation, float *out) {
#define LOOP(f) for (size_t i = 0; i < count; i++) out[i] = training_apply(x[i], f)
  EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}

WIDE void training_activate_input(
    const float *x, const float *gradient, size_t count, int32_t activation, float *in_gradient, int32_t accumulate) {
#define LOOP(f)                                                                                            \
  if (accumulate) {                                                                                        \
    for (size_t i = 0; i < count; i++) in_gradient[i] += training_slope(gradient[i], x[i], f);             \
  } else {                                                                                                 \
    for (size_t i = 0; i < count; i++) in_gradient[i] = training_slope(gradient[i], x[i], f);              \
  }
  EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}

INLINE void sum_pixels(
    const size_t width, const float *restrict x, size_t pixels, size_t channels, float *restrict out) {
  float s[64] = {0};
  for (size_t p = 0; p < pixels; p++, x += channels) {
    for (size_t c = 0; c < width; c++) s[c] += x[c];
  }
  for (size_t c = 0; c < width; c++) out[c] += s[c];
}

WIDE void training_sum_pixels(const float *x, size_t pixels, size_t channels, float *out) {
#define LOOP(width, f) sum_pixels(width, x + f, pixels, channels, out + f)
  EACH_BLOCK(channels, LOOP);
#undef LOOP
}

WIDE void training_maximum(const float *x, size_t channels, uint8_t tap, float *best, uint8_t *which) {
  for (size_t c = 0; c < channels; c++) {
    const int wins = !(x[c] <= best[c]);
    best[c] = wins ? x[c] : best[c];
    which[c] = wins ? tap : which[c];
  }
}

WIDE void training_maximum_input(
    const float *gradient, const uint8_t *which, size_t channels, uint8_t tap, float *in_gradient) {
  for (size_t c = 0; c < channels; c++) in_gradient[c] += which[c] == tap ? gradient[c] : 0;
}

WIDE void training_scale_add(const float *a, size_t count, float factor, float *out, int32_t accumulate) {
  if (accumulate) {
    for (size_t i = 0; i < count; i++) out[i] += a[i] * factor;
  } else {
    for (size_t i = 0; i < count; i++) out[i] = a[i] * factor;
  }
}

WIDE void training_add(const float *a, const float *b, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}
