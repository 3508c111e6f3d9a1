/* Passes over rows of numbers, bound by memory. */

static void rows(const ckernels_rows *p) {
#define LOOP(f) \
  for (size_t r = 0; r < p->rows; r++) { \
    for (size_t c = 0; c < p->channels; c += WIDTH) { \
      vec x = load(p->a + r * p->a_stride + c); \
      if (p->scale) x *= load(p->scale + c); \
      if (p->shift) x += load(p->shift + c); \
      if (p->b) x += load(p->b + r * p->b_stride + c); \
      store(p->out + r * p->out_stride + c, apply(x, f)); \
    } \
  }
  EACH_ACTIVATION(p->activation, LOOP)
#undef LOOP
}

static void multiply_rows(
    const float *a, size_t a_stride, const float *b, size_t b_stride, float *out, size_t out_stride, size_t rows,
    size_t channels) {
  for (size_t r = 0; r < rows; r++) {
    for (size_t c = 0; c < channels; c += WIDTH) {
      store(out + r * out_stride + c, load(a + r * a_stride + c) * load(b + r * b_stride + c));
    }
  }
}

/* Four vectors of channels at a time stay in registers while the rows pass. */
static void sum_rows(const float *a, size_t stride, size_t rows, size_t channels, float *sums) {
  size_t c = 0;
  for (; c + 4 * WIDTH <= channels; c += 4 * WIDTH) {
    vec sum[4];
    UNROLL for (size_t i = 0; i < 4; i++) sum[i] = load(sums + c + i * WIDTH);
    for (size_t r = 0; r < rows; r++) {
      UNROLL for (size_t i = 0; i < 4; i++) sum[i] += load(a + r * stride + c + i * WIDTH);
    }
    UNROLL for (size_t i = 0; i < 4; i++) store(sums + c + i * WIDTH, sum[i]);
  }
  for (; c < channels; c += WIDTH) {
    vec sum = load(sums + c);
    for (size_t r = 0; r < rows; r++) sum += load(a + r * stride + c);
    store(sums + c, sum);
  }
}

static void softmax(const float *a, size_t channels, float *out) {
  float most = a[0], sum = 0;
  for (size_t c = 1; c < channels; c++) most = a[c] > most ? a[c] : most;
  size_t c = 0;
  for (; c + WIDTH <= channels; c += WIDTH) store(out + c, exponential(load(a + c) - most));
  for (; c < channels; c++) out[c] = expf(a[c] - most);
  for (c = 0; c < channels; c++) sum += out[c];
  for (c = 0; c < channels; c++) out[c] /= sum;
}

static void local_response(
    const float *a, size_t channels, size_t size, float alpha, float beta, float k, float *out) {
  for (size_t c = 0; c < channels; c++) {
    const size_t first = c > size / 2 ? c - size / 2 : 0;
    const size_t end = c + (size - 1) / 2 + 1 < channels ? c + (size - 1) / 2 + 1 : channels;
    float sum = 0;
    for (size_t i = first; i < end; i++) sum += a[i] * a[i];
    const float base = k + alpha / (float)size * sum;
    out[c] = beta == 0.75f ? a[c] / (sqrtf(base) * sqrtf(sqrtf(base))) : a[c] / powf(base, beta);
  }
}
