#pragma once
#include <stddef.h>
#include <stdint.h>

/// The loops that want the processor's widest vectors. In C because the compiler makes one version an instruction set
/// from one text (target_clones) and the loader picks; Swift has no such thing. Memory is channels-last throughout.

/// Element-wise functions; the numbers are those of the Swift side's `ActivationCode`.
enum {
  ckernels_none = 0,
  ckernels_relu = 1,
  ckernels_relu6 = 2,
  ckernels_silu = 3,
  ckernels_hard_swish = 4,
  ckernels_hard_sigmoid = 5,
  ckernels_sigmoid = 6,
  ckernels_tanh = 7
};

/// rows[r][c] = f(rows[r][c] + bias[c]); `bias` may be NULL.
void ckernels_bias_activate(
    float *_Nonnull rows, size_t row_count, size_t channels, const float *_Nullable bias, int32_t activation);

/// out[i] = f(a[i] + b[i]); `out` may be `a`.
void ckernels_add_activate(
    float *_Nonnull out, const float *_Nonnull a, const float *_Nonnull b, size_t count, int32_t activation);

/// Geometry of a depthwise convolution over one picture: H×W×C in, OH×OW×C out, weights KH×KW×C.
typedef struct {
  size_t channels, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  size_t top, left;
} ckernels_depthwise;

/// One picture's depthwise convolution with bias (not NULL) and activation.
void ckernels_depthwise_convolve(
    const ckernels_depthwise *_Nonnull shape, float *_Nonnull out, const float *_Nonnull in,
    const float *_Nonnull weights, const float *_Nonnull bias, int32_t activation);
