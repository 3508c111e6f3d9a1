#pragma once
#include <stddef.h>
#include <stdint.h>

/// Kernels on bytes: activations are unsigned bytes with a scale and a zero point a tensor, weights signed bytes with a
/// scale an output channel, sums 32-bit and exact. Memory is channels-last; a pixel takes `stride` bytes, its channels
/// rounded up to a multiple of 4. AVX-512 VNNI, AVX2 and plain C give the same sums to the bit.
///
/// Buffers that are read may be read up to 64 bytes beyond their end, and `rows` of `ckernels_int8_unfold` may be written
/// up to 32 bytes beyond theirs.

/// What becomes of a sum before it is stored.
///
/// v = sum · scale[c] + bias[c] + residual · residual_scale[c]. Without `activation` v counts quanta of the output already;
/// with one it is a real number, and f(v) · quanta + zero counts them. Then it is bounded to low...high and rounded to
/// the nearest, halves to even. Where the kernel has no `floats` the result is a byte, else f(v) itself is stored.
typedef struct {
  const float *_Nonnull scale;
  const float *_Nonnull bias;
  const uint8_t *_Nullable residual;
  const float *_Nullable residual_scale;
  int32_t activation;
  float quanta, zero;
  float low, high;
} ckernels_int8_epilogue;

/// Where results go: bytes, or floats where `floats` is not NULL; `stride` elements from row to row.
typedef struct {
  uint8_t *_Nullable bytes;
  float *_Nullable floats;
  size_t stride;
} ckernels_int8_output;

/// Instruction sets by rising speed; a kernel runs on the best that the processor and the limit allow.
enum { ckernels_int8_portable = 0, ckernels_int8_avx2 = 1, ckernels_int8_vnni = 2 };

/// The instruction set in use.
int32_t ckernels_int8_level(void);

/// Keeps kernels from using more than this instruction set; for tests.
void ckernels_int8_limit(int32_t level);

/// Columns of a packed block of weights.
enum { ckernels_int8_columns = 32 };

/// rows × depth bytes times depth × columns signed bytes.
///
/// `depth` is a multiple of 4. Weights are packed in blocks of 32 columns: [block][depth/4][32][4], missing columns zero.
/// `scale` and `bias` hold whole blocks. A residual has the output's stride.
void ckernels_int8_multiply(
    size_t rows, size_t depth, size_t columns, const uint8_t *_Nonnull a, size_t a_stride,
    const int8_t *_Nonnull weights, const ckernels_int8_epilogue *_Nonnull epilogue, ckernels_int8_output output);

/// A window that slides over one picture of H × W pixels.
typedef struct {
  size_t channels, stride, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w;
  size_t dilation_h, dilation_w, top, left;
  /// What stands outside the picture: at least `stride` bytes and 64 more.
  const uint8_t *_Nonnull outside;
} ckernels_int8_window;

/// Copies the windows of `count` output pixels from `first` on into rows of kernel_h·kernel_w·`length` bytes: `length`
/// bytes of each pixel from byte `offset` on.
void ckernels_int8_unfold(
    const ckernels_int8_window *_Nonnull window, const uint8_t *_Nonnull in, size_t offset, size_t length, size_t first,
    size_t count, uint8_t *_Nonnull rows);

/// Channels of a packed block of depthwise weights.
enum { ckernels_int8_lanes = 64 };

/// The place of a channel among the 64 of its block, in weights, scale and bias of `ckernels_int8_depthwise`.
static inline size_t ckernels_int8_lane(size_t channel) {
  return (channel / 4 % 4) * 16 + channel / 16 % 4 * 4 + channel % 4;
}

/// One picture's depthwise convolution to bytes, without residual; at most 64 taps.
///
/// Weights: [block of 64 channels][⌈taps/4⌉][lane][4 taps], missing ones zero.
void ckernels_int8_depthwise(
    const ckernels_int8_window *_Nonnull window, const uint8_t *_Nonnull in, const int8_t *_Nonnull weights,
    const ckernels_int8_epilogue *_Nonnull epilogue, ckernels_int8_output output);

/// The largest byte under each window; `outside` is not looked at.
void ckernels_int8_maximum(
    const ckernels_int8_window *_Nonnull window, const uint8_t *_Nonnull in, uint8_t *_Nonnull out);

/// Sums of bytes over the pixels of a rectangle, a channel.
void ckernels_int8_sum(
    const uint8_t *_Nonnull in, size_t row_stride, size_t stride, size_t channels, size_t rows, size_t columns,
    int32_t *_Nonnull sums);

/// out = a · a_scale[c] + b · b_scale[c] + bias[c], bounded and rounded; the factors hold `stride` numbers.
void ckernels_int8_add(
    const uint8_t *_Nonnull a, const float *_Nonnull a_scale, const uint8_t *_Nonnull b,
    const float *_Nonnull b_scale, const float *_Nonnull bias, float low, float high, uint8_t *_Nonnull out,
    size_t pixels, size_t stride);

/// out = (a − a_zero[c]) · (b − b_zero[c]) · scale[c] + zero[c], bounded and rounded; `b` has one pixel if `b_stride` is 0.
void ckernels_int8_gate(
    const uint8_t *_Nonnull a, const float *_Nonnull a_zero, const uint8_t *_Nonnull b, const float *_Nonnull b_zero,
    size_t b_stride, const float *_Nonnull scale, const float *_Nonnull zero, uint8_t *_Nonnull out, size_t pixels,
    size_t stride);

/// v[i] = f(v[i]), with room for `count` rounded up to 16.
void ckernels_int8_activate(float *_Nonnull v, size_t count, int32_t activation);

/// Turns sums of one row into results, as the products do.
void ckernels_int8_finish(
    const int32_t *_Nonnull sums, size_t columns, const ckernels_int8_epilogue *_Nonnull epilogue,
    ckernels_int8_output output);

/// out = x · scale[c] + zero[c], rounded and bounded to a byte, for pixels of `channels` floats into pixels of `stride`
/// bytes; the bytes beyond `channels` become 0.
void ckernels_int8_quantize(
    const float *_Nonnull x, size_t pixels, size_t channels, const float *_Nonnull scale, const float *_Nonnull zero,
    uint8_t *_Nonnull out, size_t stride);
