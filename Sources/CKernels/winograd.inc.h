/* Winograd's minimal filtering for 3×3 windows (Lavin and Gray, 2015): F(2×2,3×3) at the points 0, ±1, ∞ and
   F(4×4,3×3) at 0, ±1, ±2, ∞. A tile of (m+2)² inputs gives m² outputs for (m+2)² products a channel pair. */

/* One-dimensional transforms of the numbers at x[0], x[step]…: data, results, weights. */
INLINE void data_transform(const size_t m, vec *x, size_t step) {
  if (m == 2) {
    const vec a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
    x[0] = a - c;
    x[step] = b + c;
    x[2 * step] = c - b;
    x[3 * step] = d - b;
    return;
  }
  const vec a = x[0], b = x[step], c = x[2 * step], d = x[3 * step], e = x[4 * step], f = x[5 * step];
  const vec even = e - 4 * c, odd = d - 4 * b, nearEven = e - c, nearOdd = 2 * (d - b);
  x[0] = 4 * a - 5 * c + e;
  x[step] = even + odd;
  x[2 * step] = even - odd;
  x[3 * step] = nearEven + nearOdd;
  x[4 * step] = nearEven - nearOdd;
  x[5 * step] = 4 * b - 5 * d + f;
}

INLINE void result_transform(const size_t m, const vec *x, size_t step, vec *y, size_t out_step) {
  if (m == 2) {
    y[0] = x[0] + x[step] + x[2 * step];
    y[out_step] = x[step] - x[2 * step] + x[3 * step];
    return;
  }
  const vec p = x[step] + x[2 * step], q = x[step] - x[2 * step];
  const vec r = x[3 * step] + x[4 * step], s = x[3 * step] - x[4 * step];
  y[0] = x[0] + p + r;
  y[out_step] = 2 * s + q;
  y[2 * out_step] = 4 * r + p;
  y[3 * out_step] = 8 * s + q + x[5 * step];
}

INLINE void weight_transform(const size_t m, const vec *g, size_t step, vec *u, size_t out_step) {
  const vec a = g[0], b = g[step], c = g[2 * step];
  if (m == 2) {
    u[0] = a;
    u[out_step] = 0.5f * (a + b + c);
    u[2 * out_step] = 0.5f * (a - b + c);
    u[3 * out_step] = c;
    return;
  }
  const vec outer = a + c, far = a + 4 * c;
  u[0] = 0.25f * a;
  u[out_step] = (-1.0f / 6) * (outer + b);
  u[2 * out_step] = (-1.0f / 6) * (outer - b);
  u[3 * out_step] = (1.0f / 24) * (far + 2 * b);
  u[4 * out_step] = (1.0f / 24) * (far - 2 * b);
  u[5 * out_step] = c;
}

/* A few input channels at a time, which stay in the nearest cache from PyTorch's order to the transformed weights; these
   are then written frequency by frequency in long runs, past the caches, as nothing reads them soon. */
INLINE void weights_of(
    const size_t m, const float *weights, const float *scale, size_t outputs, size_t depth, float *out,
    size_t row_stride, size_t frequency_stride) {
  enum { block = 4 };
  const size_t t = m + 2, columns = (outputs + WIDTH - 1) / WIDTH * WIDTH;
  float plain[9][block][panel] = {0}, transformed[36][block][panel];
  for (size_t first = 0; first < depth; first += block) {
    const size_t count = depth - first < block ? depth - first : block;
    for (size_t n = 0; n < outputs; n++) {
      const float *row = weights + (n * depth + first) * 9;
      const float factor = scale ? scale[n] : 1;
      for (size_t k = 0; k < count; k++)
        UNROLL for (size_t i = 0; i < 9; i++) plain[i][k][n] = row[k * 9 + i] * factor;
    }
    for (size_t k = 0; k < count; k++) {
      for (size_t n = 0; n < columns; n += WIDTH) {
        vec g[9], half[18], u[36];
        UNROLL for (size_t i = 0; i < 9; i++) g[i] = load(plain[i][k] + n);
        UNROLL for (size_t j = 0; j < 3; j++) weight_transform(m, g + j, 3, half + j, 3);
        UNROLL for (size_t i = 0; i < t; i++) weight_transform(m, half + 3 * i, 1, u + t * i, 1);
        UNROLL for (size_t i = 0; i < t * t; i++) store(transformed[i][k] + n, u[i]);
      }
    }
    for (size_t i = 0; i < t * t; i++) {
      for (size_t k = 0; k < count; k++) {
        float *target = out + i * frequency_stride + (first + k) * row_stride;
        for (size_t n = 0; n < columns; n += WIDTH)
          __builtin_nontemporal_store(load(transformed[i][k] + n), (vec *)(target + n));
      }
    }
  }
}

static void winograd_weights(
    size_t m, const float *weights, const float *scale, size_t outputs, size_t depth, float *out, size_t row_stride,
    size_t frequency_stride) {
  if (m == 2) weights_of(2, weights, scale, outputs, depth, out, row_stride, frequency_stride);
  else weights_of(4, weights, scale, outputs, depth, out, row_stride, frequency_stride);
  /* What was written past the caches, all see from here on. */
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* A tile's pixels that lie outside the picture are read from here. */
static const float nothing[WIDTH];

INLINE void input_of(
    const size_t m, const ckernels_winograd *w, const float *picture, size_t first, size_t count, float *v,
    size_t frequency_stride) {
  const size_t t = m + 2;
  for (size_t tile = 0; tile < count; tile++) {
    const ptrdiff_t y0 = (ptrdiff_t)((first + tile) / w->tiles_across * m) - (ptrdiff_t)w->top;
    const ptrdiff_t x0 = (ptrdiff_t)((first + tile) % w->tiles_across * m) - (ptrdiff_t)w->left;
    const float *pixels[36];
    size_t steps[36]; /* 0 where there is no pixel, so that the address stays */
    for (size_t i = 0; i < t * t; i++) {
      const ptrdiff_t y = y0 + (ptrdiff_t)(i / t), x = x0 + (ptrdiff_t)(i % t);
      const int inside = y >= 0 && x >= 0 && y < (ptrdiff_t)w->height && x < (ptrdiff_t)w->width;
      pixels[i] = inside ? picture + ((size_t)y * w->width + (size_t)x) * w->pixel_stride : nothing;
      steps[i] = inside ? WIDTH : 0;
    }
    float *target = v + tile * w->channels;
    for (size_t c = 0; c < w->channels; c += WIDTH) {
      vec d[36];
      UNROLL for (size_t i = 0; i < t * t; i++) d[i] = load(pixels[i] + c / WIDTH * steps[i]);
      UNROLL for (size_t j = 0; j < t; j++) data_transform(m, d + j, t);
      UNROLL for (size_t i = 0; i < t; i++) data_transform(m, d + t * i, 1);
      UNROLL for (size_t i = 0; i < t * t; i++) store(target + i * frequency_stride + c, d[i]);
    }
  }
}

static void winograd_input(
    size_t m, const ckernels_winograd *w, const float *picture, size_t first, size_t count, float *v,
    size_t frequency_stride) {
  if (m == 2) input_of(2, w, picture, first, count, v, frequency_stride);
  else input_of(4, w, picture, first, count, v, frequency_stride);
}

INLINE void output_of(
    const size_t m, const ckernels_winograd *w, const float *p, size_t frequency_stride, size_t first, size_t count,
    const float *bias, const float *residual, size_t residual_pixel_stride, float *out, int32_t activation) {
  const size_t t = m + 2;
  const float low = lower_bound(activation), high = upper_bound(activation);
  for (size_t tile = 0; tile < count; tile++) {
    const size_t y0 = (first + tile) / w->tiles_across * m, x0 = (first + tile) % w->tiles_across * m;
    const size_t down = w->out_height - y0 < m ? w->out_height - y0 : m;
    const size_t across = w->out_width - x0 < m ? w->out_width - x0 : m;
    const float *source = p + tile * w->out_channels;
    float *corner = w->takes_maxima ? out + (y0 / 2 * (w->out_width / 2) + x0 / 2) * w->out_pixel_stride
                                    : out + (y0 * w->out_width + x0) * w->out_pixel_stride;
    const float *left = residual ? residual + (y0 * w->out_width + x0) * residual_pixel_stride : NULL;
    for (size_t c = 0; c < w->out_channels; c += WIDTH) {
      vec x[36], half[24], y[16];
      UNROLL for (size_t i = 0; i < t * t; i++) x[i] = load(source + i * frequency_stride + c);
      UNROLL for (size_t j = 0; j < t; j++) result_transform(m, x + j, t, half + j, t);
      UNROLL for (size_t i = 0; i < m; i++) result_transform(m, half + t * i, 1, y + m * i, 1);
      const vec shift = load(bias + c);
      if (w->takes_maxima) {
        UNROLL for (size_t i = 0; i < m * m; i++) y[i] = clamp(y[i] + shift, low, high);
        for (size_t i = 0; i + 1 < down; i += 2) {
          for (size_t j = 0; j + 1 < across; j += 2) {
            const vec *square = y + m * i + j;
            const vec most = larger(larger(square[0], square[1]), larger(square[m], square[m + 1]));
            store(corner + (i / 2 * (w->out_width / 2) + j / 2) * w->out_pixel_stride + c, most);
          }
        }
        continue;
      }
      for (size_t i = 0; i < down; i++) {
        for (size_t j = 0; j < across; j++) {
          const size_t pixel = i * w->out_width + j;
          vec value = y[m * i + j] + shift;
          if (left) value += load(left + pixel * residual_pixel_stride + c);
          store(corner + pixel * w->out_pixel_stride + c, clamp(value, low, high));
        }
      }
    }
    if (!is_clamp(activation)) {
      for (size_t i = 0; i < down; i++) {
        activate(
            corner + i * w->out_width * w->out_pixel_stride, w->out_pixel_stride, across, w->out_channels, activation);
      }
    }
  }
}

static void winograd_output(
    size_t m, const ckernels_winograd *w, const float *p, size_t frequency_stride, size_t first, size_t count,
    const float *bias, const float *residual, size_t residual_pixel_stride, float *out, int32_t activation) {
  if (m == 2) {
    output_of(2, w, p, frequency_stride, first, count, bias, residual, residual_pixel_stride, out, activation);
  } else {
    output_of(4, w, p, frequency_stride, first, count, bias, residual, residual_pixel_stride, out, activation);
  }
}
