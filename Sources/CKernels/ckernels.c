#include "ckernels.h"
#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

static inline __attribute__((always_inline)) float clamp(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

/* e^x without a call, so that loops over it become vector loops; 0 or infinity outside -87...88. The
   activations made of it are within 2e-7 of the exact value, relatively. */
static inline __attribute__((always_inline)) float exponential(float x) {
  const float bounded = clamp(x, -87, 88);
  const float shifted = bounded * 1.44269504f + 12582912.0f; /* the integer n nearest to x / ln 2, in the low bits */
  const float n = shifted - 12582912.0f;
  const float r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1;
  uint32_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  const float result = p * power;
  return x > 88 ? INFINITY : x < -87 ? 0 : result;
}

/* A polynomial near 0, where the quotient would lose digits. */
static inline __attribute__((always_inline)) float tangent(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float far = copysignf(1 - 2 / (1 + exponential(2 * fabsf(x))), x);
  return fabsf(x) < 0.625f ? near : far;
}

static inline __attribute__((always_inline)) float apply(float x, int32_t activation) {
  switch (activation) {
    case ckernels_relu: return x < 0 ? 0 : x;
    case ckernels_relu6: return clamp(x, 0, 6);
    case ckernels_silu: return x / (1 + exponential(-x));
    case ckernels_hard_swish: return x * clamp(x + 3, 0, 6) / 6;
    case ckernels_hard_sigmoid: return clamp(x + 3, 0, 6) / 6;
    case ckernels_sigmoid: return 1 / (1 + exponential(-x));
    case ckernels_tanh: return tangent(x);
    default: return x;
  }
}

/* The activation is a constant in each case, so that each loop is a vector loop of its own. */
#define EACH_ACTIVATION(activation, LOOP) \
  switch (activation) {                   \
    case ckernels_none: LOOP(ckernels_none); break; \
    case ckernels_relu: LOOP(ckernels_relu); break; \
    case ckernels_relu6: LOOP(ckernels_relu6); break; \
    case ckernels_silu: LOOP(ckernels_silu); break; \
    case ckernels_hard_swish: LOOP(ckernels_hard_swish); break; \
    case ckernels_hard_sigmoid: LOOP(ckernels_hard_sigmoid); break; \
    case ckernels_sigmoid: LOOP(ckernels_sigmoid); break; \
    default: LOOP(ckernels_tanh); break; \
  }

WIDE void ckernels_bias_activate(
    float *rows, size_t row_count, size_t channels, const float *bias, int32_t activation) {
  if (!bias) {
    const size_t count = row_count * channels;
#define LOOP(f) for (size_t i = 0; i < count; i++) rows[i] = apply(rows[i], f)
    EACH_ACTIVATION(activation, LOOP)
#undef LOOP
    return;
  }
  for (size_t r = 0; r < row_count; r++) {
    float *row = rows + r * channels;
#define LOOP(f) for (size_t c = 0; c < channels; c++) row[c] = apply(row[c] + bias[c], f)
    EACH_ACTIVATION(activation, LOOP)
#undef LOOP
  }
}

WIDE void ckernels_add_activate(float *out, const float *a, const float *b, size_t count, int32_t activation) {
#define LOOP(f) for (size_t i = 0; i < count; i++) out[i] = apply(a[i] + b[i], f)
  EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}

/* 64 channels of one output pixel stay in registers while the window passes over them. */
enum { block = 64 };

WIDE static void depthwise_block(
    const ckernels_depthwise *s, float *restrict out, const float *restrict in, const float *restrict weights,
    const float *restrict bias, size_t first, size_t oy, size_t ox, int32_t activation) {
  const size_t channels = s->channels;
  const long y0 = (long)(oy * s->stride_h) - (long)s->top, x0 = (long)(ox * s->stride_w) - (long)s->left;
  const size_t count = channels - first < block ? channels - first : block;
  float sum[block];
  for (size_t c = 0; c < count; c++) sum[c] = bias[first + c];
  for (size_t ky = 0; ky < s->kernel_h; ky++) {
    const long y = y0 + (long)(ky * s->dilation_h);
    if (y < 0 || y >= (long)s->height) continue;
    for (size_t kx = 0; kx < s->kernel_w; kx++) {
      const long x = x0 + (long)(kx * s->dilation_w);
      if (x < 0 || x >= (long)s->width) continue;
      const float *pixel = in + ((size_t)y * s->width + (size_t)x) * channels + first;
      const float *weight = weights + (ky * s->kernel_w + kx) * channels + first;
      if (count == block) {
        for (size_t c = 0; c < block; c++) sum[c] += pixel[c] * weight[c];
      } else {
        for (size_t c = 0; c < count; c++) sum[c] += pixel[c] * weight[c];
      }
    }
  }
  float *target = out + (oy * s->out_width + ox) * channels + first;
#define LOOP(f) for (size_t c = 0; c < count; c++) target[c] = apply(sum[c], f)
  EACH_ACTIVATION(activation, LOOP)
#undef LOOP
}

void ckernels_depthwise_convolve(
    const ckernels_depthwise *s, float *out, const float *in, const float *weights, const float *bias,
    int32_t activation) {
  for (size_t oy = 0; oy < s->out_height; oy++) {
    for (size_t ox = 0; ox < s->out_width; ox++) {
      for (size_t first = 0; first < s->channels; first += block) {
        depthwise_block(s, out, in, weights, bias, first, oy, ox, activation);
      }
    }
  }
}
