#pragma once
#include "ckernels.h"
#include "each_activation.h"
#include "training_vector.h"
#include <math.h>

/// Element-wise functions and their slopes. A number that is none passes through all of them.

INLINE float training_apply(float x, int32_t activation) {
  switch (activation) {
    case ckernels_relu: return x < 0 ? 0 : x;
    case ckernels_relu6: return x < 0 ? 0 : x > 6 ? 6 : x;
    case ckernels_silu: return x / (1 + expf(-x));
    case ckernels_hard_swish: return x * (x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6);
    case ckernels_hard_sigmoid: return x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6;
    case ckernels_sigmoid: return 1 / (1 + expf(-x));
    case ckernels_tanh: return tanhf(x);
    default: return x;
  }
}

/* gradient · f'(x), with PyTorch's choices at the corners. */
INLINE float training_slope(float gradient, float x, int32_t activation) {
  switch (activation) {
    case ckernels_relu: return x <= 0 ? 0 : gradient;
    case ckernels_relu6: return x <= 0 || x >= 6 ? 0 : gradient;
    case ckernels_silu: {
      const float s = 1 / (1 + expf(-x));
      return gradient * s * (1 + x * (1 - s));
    }
    case ckernels_hard_swish: return x <= -3 ? 0 : x >= 3 ? gradient : gradient * (x / 3 + 0.5f);
    case ckernels_hard_sigmoid: return x <= -3 || x >= 3 ? 0 : gradient / 6;
    case ckernels_sigmoid: {
      const float s = 1 / (1 + expf(-x));
      return gradient * s * (1 - s);
    }
    case ckernels_tanh: {
      const float t = tanhf(x);
      return gradient * (1 - t * t);
    }
    default: return gradient;
  }
}
