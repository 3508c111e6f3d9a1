/* Depthwise convolution. Windows within the rows at hand are computed in blocks of neighbours, so that a number once
   loaded serves several of them: two rows of up to four pixels where registers suffice. */

enum { neighbours = 4, row_pair = WIDTH == 16 ? 2 : 1 };

/* Input row y, which may lie above or below the picture. */
INLINE const float *depthwise_input(const ckernels_depthwise *d, ptrdiff_t y) {
  return y >= 0 && y < (ptrdiff_t)d->height ? d->rows + (size_t)y % d->ring_rows * d->row_stride : d->nothing;
}

/* `height` rows of `width` neighbouring output pixels, all channels; `inputs` begin at the first of the windows. */
INLINE void depthwise_block(
    const ckernels_depthwise *d, const size_t height, const size_t width, const size_t kernel, const size_t stride,
    const float *const *inputs, float *out) {
  const float low = lower_bound(d->activation), high = upper_bound(d->activation);
  const size_t pixel = d->pixel_stride, out_pixel = d->out_pixel_stride, out_row = d->out_width * out_pixel;
  for (size_t c = 0; c < d->channels; c += WIDTH) {
    vec sum[row_pair][neighbours];
    const vec bias = load(d->bias + c);
    UNROLL for (size_t r = 0; r < height; r++) {
      UNROLL for (size_t i = 0; i < width; i++) sum[r][i] = bias;
    }
    UNROLL for (size_t y = 0; y < kernel + (height - 1) * stride; y++) {
      vec x[2 * neighbours + 3];
      UNROLL for (size_t i = 0; i < kernel + (width - 1) * stride; i++) x[i] = load(inputs[y] + i * pixel + c);
      UNROLL for (size_t r = 0; r < height; r++) {
        if (y < r * stride || y >= r * stride + kernel) continue;
        UNROLL for (size_t kx = 0; kx < kernel; kx++) {
          const vec weight = load(d->weights + ((y - r * stride) * kernel + kx) * d->channels + c);
          UNROLL for (size_t i = 0; i < width; i++) sum[r][i] = x[i * stride + kx] * weight + sum[r][i];
        }
      }
    }
    UNROLL for (size_t r = 0; r < height; r++) {
      UNROLL for (size_t i = 0; i < width; i++) {
        store(out + r * out_row + i * out_pixel + c, clamp(sum[r][i], low, high));
      }
    }
  }
}

typedef void depthwise_function(const ckernels_depthwise *, const float *const *inputs, float *out);

#define BLOCK(height, width, kernel, stride) \
  static void depthwise_##height##_##width##_##kernel##_##stride( \
      const ckernels_depthwise *d, const float *const *inputs, float *out) { \
    depthwise_block(d, height, width, kernel, stride, inputs, out); \
  }
#define BLOCKS(height, kernel, stride) \
  BLOCK(height, 1, kernel, stride) BLOCK(height, 2, kernel, stride) \
  BLOCK(height, 3, kernel, stride) BLOCK(height, 4, kernel, stride)
#define BLOCK_NAMES(height, kernel, stride) { \
    depthwise_##height##_1_##kernel##_##stride, depthwise_##height##_2_##kernel##_##stride, \
    depthwise_##height##_3_##kernel##_##stride, depthwise_##height##_4_##kernel##_##stride}

BLOCKS(1, 3, 1) BLOCKS(1, 3, 2) BLOCKS(1, 5, 1) BLOCKS(1, 5, 2)
#if WIDTH == 16
BLOCKS(2, 3, 1) BLOCKS(2, 3, 2) BLOCKS(2, 5, 1) BLOCKS(2, 5, 2)
#endif

/* By kernel (3, 5), stride (1, 2), height and width. */
static depthwise_function *const depthwise_blocks[2][2][row_pair][neighbours] = {
#if WIDTH == 16
    {{BLOCK_NAMES(1, 3, 1), BLOCK_NAMES(2, 3, 1)}, {BLOCK_NAMES(1, 3, 2), BLOCK_NAMES(2, 3, 2)}},
    {{BLOCK_NAMES(1, 5, 1), BLOCK_NAMES(2, 5, 1)}, {BLOCK_NAMES(1, 5, 2), BLOCK_NAMES(2, 5, 2)}},
#else
    {{BLOCK_NAMES(1, 3, 1)}, {BLOCK_NAMES(1, 3, 2)}},
    {{BLOCK_NAMES(1, 5, 1)}, {BLOCK_NAMES(1, 5, 2)}},
#endif
};

/* What follows for `count` pixels of a row that were just written. */
INLINE void depthwise_finish(const ckernels_depthwise *d, float *out, size_t count, float *sums) {
  if (!is_clamp(d->activation)) activate(out, d->out_pixel_stride, count, d->channels, d->activation);
  if (sums) sum_rows(out, d->out_pixel_stride, count, d->channels, sums);
}

/* Output pixels first…end of a row, whatever the window, and wherever it leaves the picture. */
static void depthwise_any(
    const ckernels_depthwise *d, size_t oy, size_t first, size_t end, float *row, float *sums) {
  const int32_t bounds = is_clamp(d->activation) ? d->activation : ckernels_none;
  const float low = lower_bound(bounds), high = upper_bound(bounds);
  for (size_t ox = first; ox < end; ox++) {
    ptrdiff_t x = (ptrdiff_t)(ox * d->stride_w) - (ptrdiff_t)d->left;
    const ptrdiff_t start = x;
    const size_t columns = clip(&x, d->kernel_w, d->dilation_w, d->width);
    const size_t skipped = (size_t)(x - start) / d->dilation_w;
    for (size_t c = 0; c < d->channels; c += WIDTH) {
      vec sum = load(d->bias + c);
      for (size_t ky = 0; ky < d->kernel_h; ky++) {
        const ptrdiff_t y = (ptrdiff_t)(oy * d->stride_h + ky * d->dilation_h) - (ptrdiff_t)d->top;
        if (y < 0 || y >= (ptrdiff_t)d->height) continue;
        const float *input = depthwise_input(d, y) + c;
        const float *weights = d->weights + (ky * d->kernel_w + skipped) * d->channels + c;
        for (size_t kx = 0; kx < columns; kx++) {
          const float *number = input + ((size_t)x + kx * d->dilation_w) * d->pixel_stride;
          sum = load(number) * load(weights + kx * d->channels) + sum;
        }
      }
      store(row + ox * d->out_pixel_stride + c, clamp(sum, low, high));
    }
  }
  depthwise_finish(d, row + first * d->out_pixel_stride, end - first, sums);
}

/* `height` output rows from `oy` on whose pixels inside…end have their windows within the rows. */
static void depthwise_rows(
    const ckernels_depthwise *d, size_t oy, size_t height, size_t inside, size_t end, float *out, float *sums) {
  depthwise_function *const *const blocks = depthwise_blocks[d->kernel_w == 5][d->stride_w == 2][height - 1];
  const float *inputs[8];
  for (size_t y = 0; y < d->kernel_h + (height - 1) * d->stride_h; y++) {
    inputs[y] = depthwise_input(d, (ptrdiff_t)(oy * d->stride_h + y) - (ptrdiff_t)d->top)
        + (inside * d->stride_w - d->left) * d->pixel_stride;
  }
  const size_t out_row = d->out_width * d->out_pixel_stride;
  for (size_t left = (end - inside + neighbours - 1) / neighbours, ox = inside; left > 0; left--) {
    const size_t width = (end - ox + left - 1) / left;
    float *target = out + ox * d->out_pixel_stride;
    blocks[width - 1](d, inputs, target);
    for (size_t r = 0; r < height; r++) depthwise_finish(d, target + r * out_row, width, sums);
    for (size_t y = 0; y < d->kernel_h + (height - 1) * d->stride_h; y++) {
      inputs[y] += width * d->stride_w * d->pixel_stride;
    }
    ox += width;
  }
  for (size_t r = 0; r < height; r++) {
    depthwise_any(d, oy + r, 0, inside, out + r * out_row, sums);
    depthwise_any(d, oy + r, end, d->out_width, out + r * out_row, sums);
  }
}

static void depthwise(const ckernels_depthwise *d, size_t first, size_t count, float *out, float *sums) {
  const int is_blocked = d->kernel_h == d->kernel_w && (d->kernel_w == 3 || d->kernel_w == 5)
      && d->stride_h == d->stride_w && d->stride_w <= 2 && d->dilation_h == 1 && d->dilation_w == 1;
  size_t inside = (d->left + d->stride_w - 1) / d->stride_w;
  size_t end = d->width + d->left < d->kernel_w ? 0 : (d->width + d->left - d->kernel_w) / d->stride_w + 1;
  if (end > d->out_width) end = d->out_width;
  for (size_t row = 0; row < count;) {
    size_t height = 1;
    if (is_blocked && inside < end) {
      if (row_pair <= count - row) height = row_pair;
      depthwise_rows(d, first + row, height, inside, end, out, sums);
    } else {
      depthwise_any(d, first + row, 0, d->out_width, out, sums);
    }
    row += height;
    out += height * d->out_width * d->out_pixel_stride;
  }
}
