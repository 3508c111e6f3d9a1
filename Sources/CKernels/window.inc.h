/* Pooling: the taps of a window that lie in the picture, for one output pixel. */
typedef struct {
  const float *first;
  size_t rows, columns, row_step, column_step;
} taps;

/* The taps of one axis that are inside: the first of them, and how many. */
INLINE size_t clip(ptrdiff_t *start, size_t kernel, size_t dilation, size_t extent) {
  size_t skipped = *start < 0 ? ((size_t)-*start + dilation - 1) / dilation : 0;
  if (skipped > kernel) skipped = kernel;
  *start += (ptrdiff_t)(skipped * dilation);
  if (*start >= (ptrdiff_t)extent) return 0;
  const size_t room = (extent - 1 - (size_t)*start) / dilation + 1;
  return kernel - skipped < room ? kernel - skipped : room;
}

INLINE taps taps_of(const ckernels_window *w, const float *picture, ptrdiff_t y, ptrdiff_t x) {
  taps t;
  t.rows = clip(&y, w->kernel_h, w->dilation_h, w->height);
  t.columns = clip(&x, w->kernel_w, w->dilation_w, w->width);
  t.row_step = w->dilation_h * w->width * w->pixel_stride;
  t.column_step = w->dilation_w * w->pixel_stride;
  t.first = t.rows && t.columns ? picture + ((size_t)y * w->width + (size_t)x) * w->pixel_stride : picture;
  return t;
}

static void maximum(const ckernels_window *w, const float *picture, size_t first, size_t count, float *out) {
  for (size_t oy = first; oy < first + count; oy++) {
    for (size_t ox = 0; ox < w->out_width; ox++) {
      const taps t = taps_of(
          w, picture, (ptrdiff_t)(oy * w->stride_h) - (ptrdiff_t)w->top,
          (ptrdiff_t)(ox * w->stride_w) - (ptrdiff_t)w->left);
      float *target = out + (oy * w->out_width + ox) * w->out_pixel_stride;
      for (size_t c = 0; c < w->channels; c += WIDTH) {
        vec most = -INFINITY;
        for (size_t i = 0; i < t.rows; i++) {
          const float *row = t.first + i * t.row_step + c;
          for (size_t j = 0; j < t.columns; j++) {
            const vec value = load(row + j * t.column_step);
            most = larger(value, most);
          }
        }
        store(target + c, most);
      }
    }
  }
}

static void mean(const ckernels_window *w, const float *picture, size_t first, size_t count, float *out) {
  for (size_t oy = first; oy < first + count; oy++) {
    for (size_t ox = 0; ox < w->out_width; ox++) {
      const ptrdiff_t y = (ptrdiff_t)(oy * w->stride_h) - (ptrdiff_t)w->top;
      const ptrdiff_t x = (ptrdiff_t)(ox * w->stride_w) - (ptrdiff_t)w->left;
      const taps t = taps_of(w, picture, y, x);
      size_t divisor = t.rows * t.columns;
      if (w->padded_bottom) {
        const ptrdiff_t bottom = y + (ptrdiff_t)w->kernel_h, right = x + (ptrdiff_t)w->kernel_w;
        const ptrdiff_t down = (bottom < (ptrdiff_t)w->padded_bottom ? bottom : (ptrdiff_t)w->padded_bottom) - y;
        const ptrdiff_t across = (right < (ptrdiff_t)w->padded_right ? right : (ptrdiff_t)w->padded_right) - x;
        divisor = (size_t)(down * across);
      }
      const float factor = 1 / (float)divisor;
      float *target = out + (oy * w->out_width + ox) * w->out_pixel_stride;
      for (size_t c = 0; c < w->channels; c += WIDTH) {
        vec sum = 0;
        for (size_t i = 0; i < t.rows; i++) {
          const float *row = t.first + i * t.row_step + c;
          for (size_t j = 0; j < t.columns; j++) sum += load(row + j * t.column_step);
        }
        store(target + c, sum * factor);
      }
    }
  }
}
