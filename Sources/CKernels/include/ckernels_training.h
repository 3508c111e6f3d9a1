#pragma once
#include <stddef.h>
#include <stdint.h>

/// The loops of training that want the processor's widest vectors. Memory is channels-last throughout; a function works
/// on what it is given, alone, and may run on any thread. Activations are numbered as in `ckernels.h`.

/// A convolution over one picture that already stands in its padding.
///
/// A patch of the output pixel (y, x) is `run_count` runs of `run_length` consecutive numbers: run r begins at
/// picture[y · row_stride + x · pixel_stride + runs[r]].
typedef struct {
  const size_t *_Nonnull runs;
  size_t run_count, run_length;
  size_t row_stride, pixel_stride;
  size_t out_height, out_width;
  /// Of the output: how many channels are computed, a multiple of 8, and how far one pixel is from the next.
  size_t columns, out_stride;
} training_patches;

/// out[y][x][c] (+)= Σ patch[k] · weights[k][c]; weights have `columns` numbers a row.
void training_convolve(
    const training_patches *_Nonnull shape, const float *_Nonnull picture, const float *_Nonnull weights,
    float *_Nonnull out, int32_t accumulate);

/// weights[k][c] += Σ over all output pixels of patch[k] · out_gradient[y][x][c].
void training_convolve_weights(
    const training_patches *_Nonnull shape, const float *_Nonnull picture, const float *_Nonnull out_gradient,
    float *_Nonnull weights);

/// Geometry of a depthwise convolution over one picture: H×W×C in, OH×OW×C out, weights KH×KW×C.
typedef struct {
  size_t channels, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  size_t top, left;
} training_depthwise;

void training_depthwise_forward(
    const training_depthwise *_Nonnull shape, const float *_Nonnull in, const float *_Nonnull weights,
    float *_Nonnull out);

/// in_gradient (+)= what each input pixel gave to the outputs under whose windows it lies.
void training_depthwise_input(
    const training_depthwise *_Nonnull shape, const float *_Nonnull out_gradient, const float *_Nonnull weights,
    float *_Nonnull in_gradient, int32_t accumulate);

/// weights_gradient += over all output pixels.
void training_depthwise_weights(
    const training_depthwise *_Nonnull shape, const float *_Nonnull in, const float *_Nonnull out_gradient,
    float *_Nonnull weights_gradient);

/// sum[c] = Σ (x − origin[c]) and square[c] = Σ (x − origin[c])² over the pixels.
void training_moments(
    const float *_Nonnull x, size_t pixels, size_t channels, const float *_Nonnull origin, float *_Nonnull sum,
    float *_Nonnull square);

/// out = f(x · scale[c] + shift[c]).
void training_normalise(
    const float *_Nonnull x, size_t pixels, size_t channels, const float *_Nonnull scale, const float *_Nonnull shift,
    int32_t activation, float *_Nonnull out);

/// sum[c] = Σ g and dot[c] = Σ g · (x − mean[c]) with g = gradient · f'(x · scale[c] + shift[c]).
void training_normalise_sums(
    const float *_Nonnull x, const float *_Nonnull gradient, size_t pixels, size_t channels,
    const float *_Nonnull scale, const float *_Nonnull shift, const float *_Nonnull mean, int32_t activation,
    float *_Nonnull sum, float *_Nonnull dot);

/// in_gradient (+)= g · scale[c] + (x − mean[c]) · slope[c] + offset[c], g as above.
void training_normalise_input(
    const float *_Nonnull x, const float *_Nonnull gradient, size_t pixels, size_t channels,
    const float *_Nonnull scale, const float *_Nonnull shift, const float *_Nonnull mean, const float *_Nonnull slope,
    const float *_Nonnull offset, int32_t activation, float *_Nonnull in_gradient, int32_t accumulate);

/// out = f(x).
void training_activate(const float *_Nonnull x, size_t count, int32_t activation, float *_Nonnull out);

/// in_gradient (+)= gradient · f'(x).
void training_activate_input(
    const float *_Nonnull x, const float *_Nonnull gradient, size_t count, int32_t activation,
    float *_Nonnull in_gradient, int32_t accumulate);

/// out[c] += Σ over pixels of x[c].
void training_sum_pixels(const float *_Nonnull x, size_t pixels, size_t channels, float *_Nonnull out);

/// One channel vector under a maximum: where x beats best (or is no number), best becomes x and which becomes tap.
void training_maximum(
    const float *_Nonnull x, size_t channels, uint8_t tap, float *_Nonnull best, uint8_t *_Nonnull which);

/// in_gradient[c] += gradient[c] where which[c] is tap.
void training_maximum_input(
    const float *_Nonnull gradient, const uint8_t *_Nonnull which, size_t channels, uint8_t tap,
    float *_Nonnull in_gradient);

/// out[i] (+)= a[i] · factor.
void training_scale_add(
    const float *_Nonnull a, size_t count, float factor, float *_Nonnull out, int32_t accumulate);

/// out[i] = a[i] + b[i].
void training_add(const float *_Nonnull a, const float *_Nonnull b, size_t count, float *_Nonnull out);
