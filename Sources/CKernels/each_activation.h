#pragma once
#include "ckernels.h"

/* LOOP(f) once for each activation, f a constant, so that each is a vector loop of its own. */
#define EACH_ACTIVATION(activation, LOOP) \
  switch (activation) { \
    case ckernels_none: LOOP(ckernels_none); break; \
    case ckernels_relu: LOOP(ckernels_relu); break; \
    case ckernels_relu6: LOOP(ckernels_relu6); break; \
    case ckernels_silu: LOOP(ckernels_silu); break; \
    case ckernels_hard_swish: LOOP(ckernels_hard_swish); break; \
    case ckernels_hard_sigmoid: LOOP(ckernels_hard_sigmoid); break; \
    case ckernels_sigmoid: LOOP(ckernels_sigmoid); break; \
    default: LOOP(ckernels_tanh); break; \
  }
