#pragma once
#include <stddef.h>
#include <stdint.h>

/// The loops that want the processor's widest vectors. In C because one text becomes a set of kernels for each
/// instruction set (see kernels.inc.h); Swift has no such thing. Memory is channels-last; unless said otherwise the
/// channels of a pixel are padded to a multiple of 16, and kernels read and write the padding too. Strides count floats.
/// No kernel allocates, blocks or keeps anything.

/// Element-wise functions; the numbers are those of the Swift side's `Activation.code`.
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

/// A matrix product with what follows it: out[g][r][n] = f(bias[n] + Σ a[g][r][k]·b[k][n] + residual[g][r][n]).
///
/// A row of a is `segment_count` pieces of `segment_length` floats at `segments[s]` from the row's start, so that a
/// convolution's window is read where it lies. b is packed by `pack`. `columns` is a multiple of 16, and the last `padding`
/// of them, fewer than 16, are of no meaning; of 8 or more the kernels leave out half a vector, for which 0 is said where that
/// does not pay. `ahead` are panels that the next product will want.
typedef struct {
  const float *_Nonnull a;
  size_t row_stride, group_stride;
  const ptrdiff_t *_Nonnull segments;
  size_t segment_count, segment_length;
  const float *_Nonnull panels;
  const float *_Nullable ahead, *_Nullable bias, *_Nullable residual;
  size_t residual_row_stride, residual_group_stride;
  float *_Nonnull out;
  size_t out_row_stride, out_group_stride;
  size_t rows, groups, columns, padding;
  int32_t activation;
} ckernels_product;

/// A pass over rows of numbers: out[r][c] = f(a[r][c]·scale[c] + shift[c] + b[r][c]); what is NULL is left out.
typedef struct {
  const float *_Nonnull a;
  const float *_Nullable scale, *_Nullable shift, *_Nullable b;
  float *_Nonnull out;
  size_t a_stride, b_stride, out_stride, rows, channels;
  int32_t activation;
} ckernels_rows;

/// The tiling of a 3×3 convolution, stride 1, for Winograd's algorithm: tile t covers m×m output pixels. If it `takes_maxima`,
/// of every two by two of them the largest number is written, to half as many rows and columns, rounded down.
typedef struct {
  size_t height, width, pixel_stride, channels;
  size_t out_height, out_width, out_pixel_stride, out_channels;
  size_t top, left, tiles_across;
  int32_t takes_maxima;
} ckernels_winograd;

/// A depthwise convolution over rows of pixels that lie in a ring: row y of the picture at y % ring_rows. Rows outside the
/// picture are read at `nothing`, zeros of a row's length. A row holds `width` pixels; `left` more of padding before the
/// first, and what windows touch behind the last, count as zeros.
typedef struct {
  const float *_Nonnull rows, *_Nonnull nothing;
  size_t row_stride, ring_rows, height, width, top, left;
  size_t channels, pixel_stride, out_width, out_pixel_stride;
  size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  const float *_Nonnull weights, *_Nonnull bias;
  int32_t activation;
} ckernels_depthwise;

/// A window that slides over a picture; what lies outside counts for nothing.
typedef struct {
  size_t height, width, pixel_stride, channels, out_width, out_pixel_stride;
  size_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left;
  /// Only of a mean: the picture's extents with padding, by which it divides; 0: by what lies in the picture.
  size_t padded_bottom, padded_right;
} ckernels_window;

/// The kernels of one instruction set.
typedef struct {
  /// Columns of a panel of packed weights; the last panel of a matrix may have 16.
  size_t panel_columns;

  void (*_Nonnull multiply)(const ckernels_product *_Nonnull);
  /// b (depth × columns, row-major) into panels of depth × panel_columns.
  void (*_Nonnull pack)(const float *_Nonnull b, size_t depth, size_t columns, float *_Nonnull panels);
  /// Packed weights with row k multiplied by factors[k].
  void (*_Nonnull scale_panels)(
      const float *_Nonnull panels, size_t depth, size_t columns, const float *_Nonnull factors, float *_Nonnull out);

  /// Transforms the weights of up to `panel_columns` outputs, as PyTorch has them (outputs × depth × 3 × 3) but for a
  /// factor an output, for tiles of m×m: frequency f of input k's weights goes to out[f·frequency_stride + k·row_stride],
  /// a float an output, filled up with zeros to whole vectors. `out` and strides are multiples of 16 floats.
  void (*_Nonnull winograd_weights)(
      size_t m, const float *_Nonnull weights, const float *_Nullable scale, size_t outputs, size_t depth,
      float *_Nonnull out, size_t row_stride, size_t frequency_stride);
  /// Tiles first…first+count of a picture: frequency f of tile t goes to v[f·frequency_stride + t·channels].
  void (*_Nonnull winograd_input)(
      size_t m, const ckernels_winograd *_Nonnull, const float *_Nonnull picture, size_t first, size_t count,
      float *_Nonnull v, size_t frequency_stride);
  /// The inverse: products at p[f·frequency_stride + t·out_channels] become output pixels.
  void (*_Nonnull winograd_output)(
      size_t m, const ckernels_winograd *_Nonnull, const float *_Nonnull p, size_t frequency_stride, size_t first,
      size_t count, const float *_Nonnull bias, const float *_Nullable residual, size_t residual_pixel_stride,
      float *_Nonnull out, int32_t activation);

  /// Output rows first…first+count, written one after the other from `out` on; their sums are added to sums[c].
  void (*_Nonnull depthwise)(
      const ckernels_depthwise *_Nonnull, size_t first, size_t count, float *_Nonnull out, float *_Nullable sums);

  void (*_Nonnull rows)(const ckernels_rows *_Nonnull);
  /// out[r][c] = a[r][c]·b[r][c].
  void (*_Nonnull multiply_rows)(
      const float *_Nonnull a, size_t a_stride, const float *_Nonnull b, size_t b_stride, float *_Nonnull out,
      size_t out_stride, size_t rows, size_t channels);
  /// sums[c] += Σ a[r][c].
  void (*_Nonnull sum_rows)(
      const float *_Nonnull a, size_t stride, size_t rows, size_t channels, float *_Nonnull sums);

  /// Output rows first…first+count; a NaN under the window is its maximum.
  void (*_Nonnull maximum)(
      const ckernels_window *_Nonnull, const float *_Nonnull picture, size_t first, size_t count, float *_Nonnull out);
  void (*_Nonnull mean)(
      const ckernels_window *_Nonnull, const float *_Nonnull picture, size_t first, size_t count, float *_Nonnull out);

  /// exp(a − max) / Σ exp(a − max) over `channels` numbers, which need no padding.
  void (*_Nonnull softmax)(const float *_Nonnull a, size_t channels, float *_Nonnull out);
  /// a / (k + alpha/size · Σ a²)^beta over `size` neighbours, ⌊size/2⌋ of them before; no padding is read.
  void (*_Nonnull local_response)(
      const float *_Nonnull a, size_t channels, size_t size, float alpha, float beta, float k, float *_Nonnull out);
} ckernels_table;

enum { ckernels_portable = 0, ckernels_avx2 = 1, ckernels_avx512 = 2, ckernels_amx = 3 };

/// The kernels of an instruction set, or NULL if this processor has none of it. AMX has no kernels for floats: its are those of
/// AVX-512. The first question after it asks the kernel of Linux for leave to use its registers (arch_prctl,
/// ARCH_REQ_XCOMP_PERM), for all threads of the process; where that is refused, it counts as missing.
const ckernels_table *_Nullable ckernels_of(int32_t instruction_set);

/// Whether half a vector of AVX-512 takes half the time of a whole one, as this processor computes halves one after the other
/// (AMD's family 19h, Zen 4), so that three of them take less than two whole ones.
int32_t ckernels_halves_pay(void);

/// Asks for numbers that are wanted at once, line after line as they lie, so that they are in the second-level cache when
/// another order of reading them would wait for each.
void ckernels_fetch(const float *_Nonnull numbers, size_t count);

/// out[y·height + x][i] = a[i][x·inner + y]·scale[i] for a of rows × (outer·inner): places of a window come before
/// channels. Rows of out are `out_stride` floats apart; `height` is at least `outer`. For packing weights.
void ckernels_transpose(
    const float *_Nonnull a, const float *_Nullable scale, size_t rows, size_t outer, size_t inner, float *_Nonnull out,
    size_t height, size_t out_stride);
