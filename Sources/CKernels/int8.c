#include "int8_kernels.h"
#include "ckernels.h"
#include <math.h>
#include <stdatomic.h>
#include <string.h>

/* The byte kernels that are the same for all instruction sets, in plain C that compilers turn into vectors. What each set
   has instructions for stands in int8_*.c: sums are what the sets differ in; everything after them is the same arithmetic. */

/* ThreadSanitizer instruments the choice too, which the loader makes before there is a thread. */
#if defined(__x86_64__) && !__has_feature(thread_sanitizer)
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif

const ckernels_int8_table *ckernels_int8_of(int32_t set) {
  if (!ckernels_of(set)) return NULL;
  switch (set) {
    case ckernels_portable: return &int8_portable_table;
#if defined(__x86_64__)
    case ckernels_avx2: return &int8_avx2_table;
    case ckernels_avx512: return __builtin_cpu_supports("avx512vnni") ? &int8_vnni_table : NULL;
    case ckernels_amx: return &int8_amx_table;
#endif
    default: return NULL;
  }
}

void ckernels_int8_activate(float *v, size_t count, int32_t activation) {
  static const ckernels_table *_Atomic best;
  const ckernels_table *table = atomic_load_explicit(&best, memory_order_relaxed);
  if (!table) {
    for (int32_t set = ckernels_avx512; set >= ckernels_portable && !table; set--) table = ckernels_of(set);
    atomic_store_explicit(&best, table, memory_order_relaxed);
  }
  const ckernels_rows rows = {.a = v, .out = v, .rows = 1, .channels = (count + 15) / 16 * 16, .activation = activation};
  table->rows(&rows);
}

static inline __attribute__((always_inline)) uint8_t rounded(float v, float low, float high) {
  v = v < low ? low : v;
  v = v > high ? high : v;
  return (uint8_t)(int32_t)rintf(v);
}

WIDE static void values(
    const int32_t *restrict sums, size_t columns, const float *restrict scale, const float *restrict bias,
    const uint8_t *restrict residual, const float *restrict residual_scale, float *restrict v) {
  for (size_t c = 0; c < columns; c++) v[c] = fmaf((float)sums[c], scale[c], bias[c]);
  if (residual)
    for (size_t c = 0; c < columns; c++) v[c] = fmaf((float)residual[c], residual_scale[c], v[c]);
}

WIDE static void bytes_of(
    const float *restrict v, size_t count, float scale, float zero, float low, float high, uint8_t *restrict out) {
  for (size_t c = 0; c < count; c++) out[c] = rounded(fmaf(v[c], scale, zero), low, high);
}

void ckernels_int8_finish(
    const int32_t *sums, size_t columns, const ckernels_int8_epilogue *e, ckernels_int8_output o) {
  enum { step = 64 };
  float v[step] = {0};
  for (size_t c = 0; c < columns; c += step) {
    const size_t count = columns - c < step ? columns - c : step;
    values(sums + c, count, e->scale + c, e->bias + c, e->residual ? e->residual + c : NULL,
        e->residual ? e->residual_scale + c : NULL, v);
    if (e->activation) ckernels_int8_activate(v, count, e->activation);
    if (o.floats) memcpy(o.floats + c, v, count * sizeof *v);
    else if (e->activation) bytes_of(v, count, e->quanta, e->zero, e->low, e->high, o.bytes + c);
    else bytes_of(v, count, 1, 0, e->low, e->high, o.bytes + c);
  }
}

/* Copies in steps of 32 bytes, up to 31 too many: a call of memcpy costs more than a short row. */
static inline void copy(uint8_t *restrict out, const uint8_t *restrict in, size_t length) {
  if (length > 256) {
    memcpy(out, in, length);
    return;
  }
  for (size_t i = 0; i < length; i += 32) memcpy(out + i, in + i, 32);
}

void ckernels_int8_unfold(
    const ckernels_int8_window *w, const uint8_t *in, size_t offset, size_t length, size_t first, size_t count,
    uint8_t *row) {
  const int is_dense = length == w->stride && w->dilation_w == 1;
  const size_t part = w->kernel_w * length, line_step = w->dilation_h * w->width * w->stride;
  size_t oy = first / w->out_width, ox = first % w->out_width;
  for (; count > 0; count--) {
    const long y0 = (long)(oy * w->stride_h) - (long)w->top, x0 = (long)(ox * w->stride_w) - (long)w->left;
    if (++ox == w->out_width) {
      ox = 0;
      oy++;
    }
    const long last_y = y0 + (long)((w->kernel_h - 1) * w->dilation_h);
    if (is_dense && y0 >= 0 && last_y < (long)w->height && x0 >= 0 && x0 + (long)w->kernel_w <= (long)w->width) {
      const uint8_t *line = in + ((size_t)y0 * w->width + (size_t)x0) * w->stride + offset;
      for (size_t ky = 0; ky < w->kernel_h; ky++, row += part, line += line_step) copy(row, line, part);
      continue;
    }
    for (size_t ky = 0; ky < w->kernel_h; ky++) {
      const long y = y0 + (long)(ky * w->dilation_h);
      const int is_row = y >= 0 && y < (long)w->height;
      const uint8_t *line = in + (is_row ? (size_t)y * w->width * w->stride : 0) + offset;
      for (size_t kx = 0; kx < w->kernel_w; kx++, row += length) {
        const long x = x0 + (long)(kx * w->dilation_w);
        const int is_inside = is_row && x >= 0 && x < (long)w->width;
        copy(row, is_inside ? line + (size_t)x * w->stride : w->outside + offset, length);
      }
    }
  }
}

typedef uint8_t bytes64 __attribute__((ext_vector_type(64)));
typedef uint8_t bytes4 __attribute__((ext_vector_type(4)));

/* The largest bytes of rows × columns pixels, which lie `line` and `pixel` bytes apart. */
#define LARGEST(type, rows, columns) \
  do { \
    type most = 0, x; \
    for (size_t y = 0; y < (rows); y++) { \
      for (size_t column = 0; column < (columns); column++) { \
        memcpy(&x, in + c + y * line + column * pixel, sizeof x); \
        most = __builtin_elementwise_max(most, x); \
      } \
    } \
    memcpy(out + c, &most, sizeof most); \
  } while (0)

/* The same of `count` windows, `step` bytes apart. */
WIDE static void largest(
    const uint8_t *in, size_t rows, size_t line, size_t columns, size_t pixel, size_t stride, size_t count, size_t step,
    uint8_t *out) {
  for (; count > 0; count--, in += step, out += stride) {
    size_t c = 0;
    if (rows == 3 && columns == 3)
      for (; c + sizeof(bytes64) <= stride; c += sizeof(bytes64)) LARGEST(bytes64, 3, 3);
    for (; c + sizeof(bytes64) <= stride; c += sizeof(bytes64)) LARGEST(bytes64, rows, columns);
    for (; c < stride; c += sizeof(bytes4)) LARGEST(bytes4, rows, columns);
  }
}

/* The places 0, dilation, 2·dilation … of a window that starts at `start` which lie within `extent`. */
typedef struct {
  size_t first, count;
} inside;

static inline inside places_inside(long start, size_t kernel, size_t dilation, size_t extent) {
  const size_t skipped = start < 0 ? ((size_t)-start + dilation - 1) / dilation : 0;
  const long first = start + (long)(skipped * dilation);
  if (skipped >= kernel || first >= (long)extent) return (inside){0, 0};
  return (inside){(size_t)first, lesser(kernel - skipped, (extent - (size_t)first + dilation - 1) / dilation)};
}

void ckernels_int8_maximum(const ckernels_int8_window *w, const uint8_t *in, uint8_t *out) {
  const size_t line = w->width * w->stride, reach = (w->kernel_w - 1) * w->dilation_w;
  for (size_t oy = 0; oy < w->out_height; oy++) {
    const inside y = places_inside((long)(oy * w->stride_h) - (long)w->top, w->kernel_h, w->dilation_h, w->height);
    for (size_t ox = 0, count; ox < w->out_width; ox += count, out += count * w->stride) {
      const long start = (long)(ox * w->stride_w) - (long)w->left;
      const inside x = places_inside(start, w->kernel_w, w->dilation_w, w->width);
      count = 1;
      /* As many more as lie inside, too. */
      if (x.count == w->kernel_w) count = lesser((w->width - 1 - x.first - reach) / w->stride_w + 1, w->out_width - ox);
      largest(
          in + y.first * line + x.first * w->stride, y.count, w->dilation_h * line, x.count, w->dilation_w * w->stride,
          w->stride, count, w->stride_w * w->stride, out);
    }
  }
}

WIDE void ckernels_int8_sum(
    const uint8_t *in, size_t row_stride, size_t stride, size_t channels, size_t rows, size_t columns,
    int32_t *restrict sums) {
  memset(sums, 0, channels * sizeof *sums);
  for (size_t y = 0; y < rows; y++) {
    for (size_t x = 0; x < columns; x++) {
      const uint8_t *restrict pixel = in + y * row_stride + x * stride;
      for (size_t c = 0; c < channels; c++) sums[c] += pixel[c];
    }
  }
}

WIDE void ckernels_int8_add(
    const uint8_t *restrict a, const float *restrict a_scale, const uint8_t *restrict b,
    const float *restrict b_scale, const float *restrict bias, float low, float high, uint8_t *restrict out,
    size_t pixels, size_t stride) {
  for (size_t p = 0; p < pixels; p++, a += stride, b += stride, out += stride) {
    for (size_t c = 0; c < stride; c++)
      out[c] = rounded(fmaf((float)a[c], a_scale[c], fmaf((float)b[c], b_scale[c], bias[c])), low, high);
  }
}

WIDE void ckernels_int8_gate(
    const uint8_t *restrict a, const float *restrict a_zero, const uint8_t *restrict b, const float *restrict b_zero,
    size_t b_stride, const float *restrict scale, const float *restrict zero, uint8_t *restrict out, size_t pixels,
    size_t stride) {
  for (size_t p = 0; p < pixels; p++, a += stride, b += b_stride, out += stride) {
    for (size_t c = 0; c < stride; c++)
      out[c] = rounded(fmaf(((float)a[c] - a_zero[c]) * ((float)b[c] - b_zero[c]), scale[c], zero[c]), 0, 255);
  }
}

typedef float reals16 __attribute__((ext_vector_type(16)));
typedef int32_t words16 __attribute__((ext_vector_type(16)));
typedef uint8_t bytes16 __attribute__((ext_vector_type(16)));

/* v = v · factors + zeros, rounded to bytes. Beside 1.5 · 2^23 there is room for whole numbers only, so adding it rounds, and
   leaves the result in the last byte. */
static inline __attribute__((always_inline)) void round16(
    const reals16 *v, const reals16 *factors, const reals16 *zeros, bytes16 *out) {
  reals16 x = __builtin_elementwise_fma(*v, *factors, *zeros);
  x = x > 0 ? x : 0;
  x = x < 255 ? x : 255;
  *out = __builtin_convertvector((words16)(x + 12582912.0f), bytes16);
}

/* Pixels of up to four channels, four at a time: each is spread over four lanes, of which those without a channel have the
   factor 0. */
WIDE static void quantize_narrow(
    const float *restrict x, size_t pixels, size_t channels, const float *restrict scale, const float *restrict zero,
    uint8_t *restrict out) {
  enum { group = 4, most = 4 };
  reals16 factors = 0, zeros = 0;
  bytes16 bytes;
  for (size_t i = 0; i < group * most; i++) {
    factors[i] = i % most < channels ? scale[i % most] : 0;
    zeros[i] = i % most < channels ? zero[i % most] : 0;
  }
  size_t p = 0;
  /* Of three channels a vector reaches into the sixth pixel. */
  for (; channels == 3 && p + 6 <= pixels; p += group, out += group * most) {
    reals16 v;
    memcpy(&v, x + 3 * p, sizeof v);
    v = __builtin_shufflevector(v, v, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    round16(&v, &factors, &zeros, &bytes);
    memcpy(out, &bytes, sizeof bytes);
  }
  for (; p < pixels; p++, out += most) {
    reals16 v = 0;
    for (size_t c = 0; c < channels; c++) v[c] = x[p * channels + c];
    round16(&v, &factors, &zeros, &bytes);
    memcpy(out, &bytes, most);
  }
}

WIDE static void quantize_wide(
    const float *restrict x, size_t pixels, size_t channels, const float *restrict scale, const float *restrict zero,
    uint8_t *restrict out, size_t stride) {
  for (size_t p = 0; p < pixels; p++, x += channels, out += stride) {
    for (size_t c = 0; c < channels; c++) out[c] = rounded(fmaf(x[c], scale[c], zero[c]), 0, 255);
    for (size_t c = channels; c < stride; c++) out[c] = 0;
  }
}

void ckernels_int8_quantize(
    const float *x, size_t pixels, size_t channels, const float *scale, const float *zero, uint8_t *out, size_t stride) {
  if (stride == 4) quantize_narrow(x, pixels, channels, scale, zero, out);
  else quantize_wide(x, pixels, channels, scale, zero, out, stride);
}
