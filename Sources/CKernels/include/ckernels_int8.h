#pragma once
#include <stddef.h>
#include <stdint.h>

/// Kernels on bytes: activations are unsigned bytes with a scale and a zero point a tensor, weights signed bytes with a
/// scale an output channel, sums 32-bit and exact. Memory is channels-last; a pixel takes `stride` bytes, its channels
/// rounded up to a multiple of 4. AMX, AVX-512 VNNI, AVX2 and plain C give the same results to the bit.
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

/// Outputs to a multiple of which `scale` and `bias` are filled up with zeros, of products and of depthwise convolutions.
enum { ckernels_int8_columns = 32, ckernels_int8_lanes = 64 };

/// rows × depth bytes times depth × columns signed bytes.
typedef struct {
  size_t rows, depth, columns;
  const uint8_t *_Nonnull a;
  size_t a_stride;
  /// Packed by the same table. `depth` is a multiple of 4.
  const int8_t *_Nonnull weights;
  /// A residual has the output's stride.
  ckernels_int8_epilogue epilogue;
  ckernels_int8_output output;
  /// As much as `multiply_scratch` says, at a 32-byte boundary.
  void *_Nonnull scratch;
} ckernels_int8_product;

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

/// The most channels whose sums, four times over, stay within 32 bits.
enum { ckernels_int8_winograd_channels = 1820 };

/// The kernels whose sums an instruction set has its own instructions for, and how each wants its weights.
///
/// Functions that pack give the bytes it takes, and only count them where `packed` is NULL; they write to any multiple of 16
/// bytes, kernels read what they packed at a 64-byte boundary.
typedef struct {
  /// Weights [column][depth], `depth` a multiple of 4.
  size_t (*_Nonnull pack)(const int8_t *_Nonnull weights, size_t columns, size_t depth, int8_t *_Nullable packed);
  void (*_Nonnull multiply)(const ckernels_int8_product *_Nonnull product);
  /// Whether `multiply` itself sees to it that what it reads again is still near, however many rows there are.
  int32_t takes_all_rows;
  /// Bytes of scratch memory that a product of up to `rows` rows needs.
  size_t (*_Nonnull multiply_scratch)(size_t rows, size_t depth);
  /// Weights [channel][kernel_h][kernel_w].
  size_t (*_Nonnull pack_depthwise)(
      const int8_t *_Nonnull weights, size_t channels, size_t kernel_h, size_t kernel_w, int8_t *_Nullable packed);
  /// One picture's depthwise convolution to bytes, without residual; at most 64 taps.
  void (*_Nonnull depthwise)(
      const ckernels_int8_window *_Nonnull window, const uint8_t *_Nonnull in, const int8_t *_Nonnull weights,
      const ckernels_int8_epilogue *_Nonnull epilogue, ckernels_int8_output output);
  /// Pictures' convolution to results of the same form, read where the windows lie; one picture close behind the other. NULL
  /// where windows have to be unfolded into rows first.
  ///
  /// `in` is the first byte that is meant of a pixel, of `length` bytes, a multiple of 4; what stands outside is counted from
  /// `outside` likewise. Weights are what `pack` made of rows of kernel_h·kernel_w·`length`. `scratch` is as large as
  /// `convolve_scratch` says, at a 64-byte boundary.
  void (*_Nullable convolve)(
      const ckernels_int8_window *_Nonnull window, size_t images, const uint8_t *_Nonnull in, size_t length,
      const int8_t *_Nonnull weights, size_t outputs, const ckernels_int8_epilogue *_Nonnull epilogue,
      ckernels_int8_output output, void *_Nonnull scratch);
  /// Bytes of scratch memory that `convolve` needs.
  size_t (*_Nullable convolve_scratch)(const ckernels_int8_window *_Nonnull window, size_t length);
  /// Weights [output][channel][3][3]. This and the next two are NULL where Winograd's algorithm is not the faster one.
  size_t (*_Nullable pack_winograd)(
      const int8_t *_Nonnull weights, size_t outputs, size_t channels, int8_t *_Nullable packed);
  /// Pictures' 3×3 convolution of stride 1, one picture close behind the other, by Winograd's F(2×2,3×3) in whole numbers:
  /// the sums of `multiply` to the bit, with 4/9 of its products. At most `ckernels_int8_winograd_channels`.
  ///
  /// `scratch` is as large as `winograd_scratch` says, at a 32-byte boundary.
  void (*_Nullable winograd)(
      const ckernels_int8_window *_Nonnull window, size_t images, const uint8_t *_Nonnull in,
      const int8_t *_Nonnull weights, size_t outputs, const ckernels_int8_epilogue *_Nonnull epilogue,
      ckernels_int8_output output, void *_Nonnull scratch);
  /// Bytes of scratch memory that Winograd's algorithm needs.
  size_t (*_Nullable winograd_scratch)(size_t channels);
} ckernels_int8_table;

/// The kernels for an instruction set, `ckernels_portable` to `ckernels_amx`; NULL if this processor has not got it, for
/// AVX-512 also without VNNI.
const ckernels_int8_table *_Nullable ckernels_int8_of(int32_t instruction_set);

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
