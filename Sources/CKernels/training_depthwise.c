#include "ckernels_training.h"
#include "training_vector.h"

/* `width` channels of one pixel stay in registers while the window passes over them. */
INLINE void forward(
    const size_t width, const training_depthwise *s, const float *restrict in, const float *restrict weights,
    float *restrict out, size_t first) {
  for (size_t oy = 0; oy < s->out_height; oy++) {
    for (size_t ox = 0; ox < s->out_width; ox++) {
      float sum[64] = {0};
      const long y0 = (long)(oy * s->stride_h) - (long)s->top, x0 = (long)(ox * s->stride_w) - (long)s->left;
      for (size_t ky = 0; ky < s->kernel_h; ky++) {
        const size_t y = (size_t)(y0 + (long)(ky * s->dilation_h));
        if (y >= s->height) continue;
        for (size_t kx = 0; kx < s->kernel_w; kx++) {
          const size_t x = (size_t)(x0 + (long)(kx * s->dilation_w));
          if (x >= s->width) continue;
          const float *pixel = in + (y * s->width + x) * s->channels + first;
          const float *weight = weights + (ky * s->kernel_w + kx) * s->channels + first;
          for (size_t c = 0; c < width; c++) sum[c] += pixel[c] * weight[c];
        }
      }
      float *target = out + (oy * s->out_width + ox) * s->channels + first;
      for (size_t c = 0; c < width; c++) target[c] = sum[c];
    }
  }
}

WIDE void training_depthwise_forward(
    const training_depthwise *s, const float *in, const float *weights, float *out) {
#define LOOP(width, first) forward(width, s, in, weights, out, first)
  EACH_BLOCK(s->channels, LOOP);
#undef LOOP
}

/* Gathers: the input pixel y lies under output oy at tap ky where oy · stride + ky · dilation = y + top. */
INLINE void input(
    const size_t width, const training_depthwise *s, const float *restrict gradient, const float *restrict weights,
    float *restrict out, int32_t accumulate, size_t first) {
  for (size_t y = 0; y < s->height; y++) {
    for (size_t x = 0; x < s->width; x++) {
      float sum[64] = {0};
      for (size_t ky = 0; ky < s->kernel_h; ky++) {
        const size_t down = y + s->top - ky * s->dilation_h;
        const size_t oy = s->stride_h == 1 ? down : down / s->stride_h;
        if (y + s->top < ky * s->dilation_h || oy * s->stride_h != down || oy >= s->out_height) continue;
        for (size_t kx = 0; kx < s->kernel_w; kx++) {
          const size_t across = x + s->left - kx * s->dilation_w;
          const size_t ox = s->stride_w == 1 ? across : across / s->stride_w;
          if (x + s->left < kx * s->dilation_w || ox * s->stride_w != across || ox >= s->out_width) continue;
          const float *pixel = gradient + (oy * s->out_width + ox) * s->channels + first;
          const float *weight = weights + (ky * s->kernel_w + kx) * s->channels + first;
          for (size_t c = 0; c < width; c++) sum[c] += pixel[c] * weight[c];
        }
      }
      float *target = out + (y * s->width + x) * s->channels + first;
      if (accumulate) {
        for (size_t c = 0; c < width; c++) target[c] += sum[c];
      } else {
        for (size_t c = 0; c < width; c++) target[c] = sum[c];
      }
    }
  }
}

WIDE void training_depthwise_input(
    const training_depthwise *s, const float *gradient, const float *weights, float *out, int32_t accumulate) {
#define LOOP(width, first) input(width, s, gradient, weights, out, accumulate, first)
  EACH_BLOCK(s->channels, LOOP);
#undef LOOP
}

/* The taps of one row of the kernel, at most `taps` of them, stay in registers while a row of pixels passes. */
INLINE void weights(
    const size_t width, const size_t taps, const training_depthwise *s, const float *restrict in,
    const float *restrict gradient, float *restrict out, size_t ky, size_t kx, size_t first) {
  float sum[8][16] = {{0}};
  for (size_t oy = 0; oy < s->out_height; oy++) {
    const size_t y = oy * s->stride_h + ky * s->dilation_h - s->top;
    if (y >= s->height) continue;
    for (size_t ox = 0; ox < s->out_width; ox++) {
      const float *g = gradient + (oy * s->out_width + ox) * s->channels + first;
#pragma clang loop unroll(full)
      for (size_t t = 0; t < taps; t++) {
        const size_t x = ox * s->stride_w + (kx + t) * s->dilation_w - s->left;
        if (x >= s->width) continue;
        const float *pixel = in + (y * s->width + x) * s->channels + first;
        for (size_t c = 0; c < width; c++) sum[t][c] += pixel[c] * g[c];
      }
    }
  }
  for (size_t t = 0; t < taps; t++) {
    for (size_t c = 0; c < width; c++) out[(ky * s->kernel_w + kx + t) * s->channels + first + c] += sum[t][c];
  }
}

INLINE void kernel_weights(
    const size_t width, const training_depthwise *s, const float *in, const float *gradient, float *out,
    size_t first) {
  for (size_t ky = 0; ky < s->kernel_h; ky++) {
    size_t kx = 0;
    for (; kx + 3 <= s->kernel_w; kx += 3) weights(width, 3, s, in, gradient, out, ky, kx, first);
    for (; kx < s->kernel_w; kx++) weights(width, 1, s, in, gradient, out, ky, kx, first);
  }
}

WIDE void training_depthwise_weights(
    const training_depthwise *s, const float *in, const float *gradient, float *out) {
  size_t first = 0;
  for (; first + 16 <= s->channels; first += 16) kernel_weights(16, s, in, gradient, out, first);
  for (; first + 8 <= s->channels; first += 8) kernel_weights(8, s, in, gradient, out, first);
  for (; first < s->channels; first++) kernel_weights(1, s, in, gradient, out, first);
}
