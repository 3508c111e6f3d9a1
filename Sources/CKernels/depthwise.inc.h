/* Depthwise convolution, row by row: no columns to check, the rows are padded; taps that are constants unroll. */

/* `width` neighbouring output pixels for all channels. */
INLINE void depthwise_pixels(
    const ckernels_depthwise *d, const size_t width, const size_t kernel_w, const size_t stride,
    const float *const *rows, size_t first, float *out) {
  const float low = lower_bound(d->activation), high = upper_bound(d->activation);
  const size_t pixel = d->pixel_stride, start = first * stride * pixel;
  for (size_t c = 0; c < d->channels; c += WIDTH) {
    vec sum[8];
    const vec bias = load(d->bias + c);
    UNROLL for (size_t i = 0; i < width; i++) sum[i] = bias;
    const float *weights = d->weights + c;
    for (size_t ky = 0; ky < d->kernel_h; ky++) {
      const float *row = rows[ky] + start + c;
      UNROLL for (size_t kx = 0; kx < kernel_w; kx++) {
        const vec weight = load(weights);
        weights += d->channels;
        UNROLL for (size_t i = 0; i < width; i++) {
          sum[i] = load(row + (i * stride + kx * d->dilation) * pixel) * weight + sum[i];
        }
      }
    }
    UNROLL for (size_t i = 0; i < width; i++) {
      store(out + (first + i) * d->out_pixel_stride + c, clamp(sum[i], low, high));
    }
  }
}

INLINE void depthwise_taps(
    const ckernels_depthwise *d, const size_t kernel_w, const size_t stride, const float *const *rows, float *out) {
  size_t x = 0;
  for (; x + 4 <= d->out_width; x += 4) depthwise_pixels(d, 4, kernel_w, stride, rows, x, out);
  for (; x + 2 <= d->out_width; x += 2) depthwise_pixels(d, 2, kernel_w, stride, rows, x, out);
  for (; x < d->out_width; x++) depthwise_pixels(d, 1, kernel_w, stride, rows, x, out);
}

static void depthwise_any(const ckernels_depthwise *d, const float *const *rows, float *out) {
  for (size_t x = 0; x < d->out_width; x++) {
    for (size_t c = 0; c < d->channels; c += WIDTH) {
      vec sum = load(d->bias + c);
      for (size_t ky = 0; ky < d->kernel_h; ky++) {
        for (size_t kx = 0; kx < d->kernel_w; kx++) {
          const float *number = rows[ky] + (x * d->stride + kx * d->dilation) * d->pixel_stride + c;
          sum = load(number) * load(d->weights + (ky * d->kernel_w + kx) * d->channels + c) + sum;
        }
      }
      const int32_t bounds = is_clamp(d->activation) ? d->activation : ckernels_none;
      store(out + x * d->out_pixel_stride + c, clamp(sum, lower_bound(bounds), upper_bound(bounds)));
    }
  }
}

static void depthwise_row(const ckernels_depthwise *d, const float *const *rows, float *out) {
  if (d->kernel_w == 3 && d->stride == 1) depthwise_taps(d, 3, 1, rows, out);
  else if (d->kernel_w == 3 && d->stride == 2) depthwise_taps(d, 3, 2, rows, out);
  else if (d->kernel_w == 5 && d->stride == 1) depthwise_taps(d, 5, 1, rows, out);
  else if (d->kernel_w == 5 && d->stride == 2) depthwise_taps(d, 5, 2, rows, out);
  else depthwise_any(d, rows, out);
  if (!is_clamp(d->activation)) activate(out, d->out_pixel_stride, d->out_width, d->channels, d->activation);
}
