#include "ckernels_int8.h"
#include "ckernels.h"
#include <string.h>

/* Sums of products of bytes, in one version an instruction set. VNNI multiplies four pairs and adds them in one
   instruction (vpdpbusd). AVX2's nearest (vpmaddubsw) saturates at 16 bits, so it gets every other byte only. */

enum { block = ckernels_int8_columns, lanes = ckernels_int8_lanes, most_rows = 12, most_taps = 64 };

static size_t lesser(size_t a, size_t b) { return a < b ? a : b; }

static void portable_tile(
    size_t rows, const uint8_t *a, size_t stride, const int8_t *b, size_t depth, int32_t sums[][block]) {
  for (size_t r = 0; r < rows; r++) {
    memset(sums[r], 0, sizeof sums[r]);
    const int8_t *w = b;
    for (size_t k = 0; k < depth; k += 4, w += 4 * block) {
      const uint8_t *x = a + r * stride + k;
      for (size_t c = 0; c < block; c++)
        sums[r][c] += x[0] * w[4 * c] + x[1] * w[4 * c + 1] + x[2] * w[4 * c + 2] + x[3] * w[4 * c + 3];
    }
  }
}

static void portable_lanes(
    const uint8_t *const *taps, size_t first, size_t groups, const int8_t *w, size_t count, int32_t sums[lanes]) {
  memset(sums, 0, lanes * sizeof *sums);
  for (size_t g = 0; g < groups; g++, taps += 4, w += 4 * lanes) {
    for (size_t c = 0; c < count; c++) {
      const int8_t *v = w + 4 * ckernels_int8_lane(c);
      for (int t = 0; t < 4; t++) sums[ckernels_int8_lane(c)] += taps[t][first + c] * v[t];
    }
  }
}

typedef void (*tile_kernel)(size_t, const uint8_t *, size_t, const int8_t *, size_t, int32_t (*)[block]);
typedef void (*lane_kernel)(const uint8_t *const *, size_t, size_t, const int8_t *, size_t, int32_t *);

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")))
#define INLINE static inline __attribute__((always_inline))

/* sum + Σ of four pairs of bytes in each 32-bit place; even and odd bytes apart, since two products overflow 16 bits. */
AVX2 INLINE __m256i dot4(__m256i sum, __m256i x, __m256i w) {
  const __m256i even = _mm256_set1_epi16(0x00FF), ones = _mm256_set1_epi16(1);
  const __m256i low = _mm256_maddubs_epi16(_mm256_and_si256(x, even), w);
  const __m256i high = _mm256_maddubs_epi16(_mm256_andnot_si256(even, x), w);
  sum = _mm256_add_epi32(sum, _mm256_madd_epi16(low, ones));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(high, ones));
}

AVX2 static void avx2_tile(
    size_t rows, const uint8_t *a, size_t stride, const int8_t *b, size_t depth, int32_t sums[][block]) {
  for (size_t r = 0; r < rows; r++) {
    __m256i sum[4] = {0};
    const int8_t *w = b;
    for (size_t k = 0; k < depth; k += 4, w += 4 * block) {
      int32_t four;
      memcpy(&four, a + r * stride + k, 4);
      const __m256i x = _mm256_set1_epi32(four);
      for (int i = 0; i < 4; i++) sum[i] = dot4(sum[i], x, _mm256_loadu_si256((const __m256i *)(w + 32 * i)));
    }
    for (int i = 0; i < 4; i++) _mm256_storeu_si256((__m256i *)(sums[r] + 8 * i), sum[i]);
  }
}

/* Sixteen channels of four taps each, interleaved to four bytes a channel. Channels come in the order of lanes. */
AVX2 static void avx2_lanes(
    const uint8_t *const *taps, size_t first, size_t groups, const int8_t *w, size_t count, int32_t sums[lanes]) {
  for (size_t part = 0; part * 16 < count; part++) {
    __m128i sum[4] = {0};
    for (size_t g = 0; g < groups; g++) {
      __m128i x[4];
      for (int t = 0; t < 4; t++) x[t] = _mm_loadu_si128((const __m128i *)(taps[4 * g + t] + first + 16 * part));
      const __m128i ab[2] = {_mm_unpacklo_epi8(x[0], x[1]), _mm_unpackhi_epi8(x[0], x[1])};
      const __m128i cd[2] = {_mm_unpacklo_epi8(x[2], x[3]), _mm_unpackhi_epi8(x[2], x[3])};
      for (int i = 0; i < 4; i++) {
        const __m128i four = i % 2 ? _mm_unpackhi_epi16(ab[i / 2], cd[i / 2]) : _mm_unpacklo_epi16(ab[i / 2], cd[i / 2]);
        const __m128i v = _mm_loadu_si128((const __m128i *)(w + 4 * lanes * g + 64 * i + 16 * part));
        const __m256i all = dot4(
            _mm256_castsi128_si256(sum[i]), _mm256_castsi128_si256(four), _mm256_castsi128_si256(v));
        sum[i] = _mm256_castsi256_si128(all);
      }
    }
    for (int i = 0; i < 4; i++) _mm_storeu_si128((__m128i *)(sums + 16 * i + 4 * part), sum[i]);
  }
}

/* v of sixteen sums, as the header defines it, up to but without the activation. */
VNNI INLINE __m512 value16(__m512i sum, const float *scale, const float *bias) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(scale), _mm512_loadu_ps(bias));
}

VNNI INLINE __m512i quanta16(__m512 v, const ckernels_int8_epilogue *e) {
  v = _mm512_min_ps(_mm512_max_ps(v, _mm512_set1_ps(e->low)), _mm512_set1_ps(e->high));
  return _mm512_cvtps_epi32(v);
}

VNNI INLINE void vnni_tile(
    const int rows, const int halves, const uint8_t *a, size_t stride, const int8_t *b, size_t depth, size_t columns,
    const ckernels_int8_epilogue *e, ckernels_int8_output o) {
  __m512i sum[most_rows][2];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm512_setzero_si512();
  for (size_t k = 0; k < depth; k += 4, b += 4 * block) {
    const __m512i w0 = _mm512_loadu_si512(b), w1 = _mm512_loadu_si512(b + 64);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, a + (size_t)r * stride + k, 4);
      const __m512i x = _mm512_set1_epi32(four);
      sum[r][0] = _mm512_dpbusd_epi32(sum[r][0], x, w0);
      if (halves == 2) sum[r][1] = _mm512_dpbusd_epi32(sum[r][1], x, w1);
    }
  }
  float real[most_rows][block];
  const int is_direct = !e->activation && !o.floats;
#pragma clang loop unroll(full)
  for (int h = 0; h < halves; h++) {
    const size_t left = columns - 16 * (size_t)h;
    const __mmask16 mask = left >= 16 ? 0xFFFF : (__mmask16)((1u << left) - 1);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      const size_t at = (size_t)r * o.stride + 16 * (size_t)h;
      __m512 v = value16(sum[r][h], e->scale + 16 * h, e->bias + 16 * h);
      if (e->residual) {
        const __m512i other = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, e->residual + at));
        v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(other), _mm512_loadu_ps(e->residual_scale + 16 * h), v);
      }
      if (is_direct)
        _mm_mask_storeu_epi8(o.bytes + at, mask, _mm512_cvtusepi32_epi8(quanta16(v, e)));
      else
        _mm512_storeu_ps(real[r] + 16 * h, v);
    }
  }
  if (is_direct) return;
  const size_t count = lesser(columns, 16 * (size_t)halves);
  for (int r = 0; r < rows; r++) {
    if (e->activation) ckernels_int8_activate(real[r], 16 * (size_t)halves, e->activation);
    if (o.floats) {
      memcpy(o.floats + (size_t)r * o.stride, real[r], count * sizeof(float));
      continue;
    }
    uint8_t bytes[block];
    for (int h = 0; h < halves; h++) {
      const __m512 v = _mm512_fmadd_ps(
          _mm512_loadu_ps(real[r] + 16 * h), _mm512_set1_ps(e->quanta), _mm512_set1_ps(e->zero));
      _mm_storeu_si128((__m128i *)(bytes + 16 * h), _mm512_cvtusepi32_epi8(quanta16(v, e)));
    }
    memcpy(o.bytes + (size_t)r * o.stride, bytes, count);
  }
}

typedef void (*vnni_kernel)(
    const uint8_t *, size_t, const int8_t *, size_t, size_t, const ckernels_int8_epilogue *, ckernels_int8_output);

#define TILE(rows, halves)                                                                                \
  VNNI static void vnni_tile_##rows##_##halves(                                                           \
      const uint8_t *a, size_t stride, const int8_t *b, size_t depth, size_t columns,                     \
      const ckernels_int8_epilogue *e, ckernels_int8_output o) {                                          \
    vnni_tile(rows, halves, a, stride, b, depth, columns, e, o);                                          \
  }
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define BOTH(rows) TILE(rows, 1) TILE(rows, 2)
EACH_ROWS(BOTH)
#define NAMES(rows) {vnni_tile_##rows##_1, vnni_tile_##rows##_2},
static const vnni_kernel vnni_tiles[most_rows][2] = {EACH_ROWS(NAMES)};

/* 64 channels of one pixel: bytes of four taps are interleaved, multiplied and added, and the order is restored by the
   packing of the results. */
VNNI static void vnni_depthwise(
    const uint8_t *const *taps, size_t first, size_t groups, const int8_t *w, size_t count,
    const ckernels_int8_epilogue *e, uint8_t *out) {
  const __mmask64 mask = count >= 64 ? ~0ull : (1ull << count) - 1;
  __m512i sum[4] = {0};
  for (size_t g = 0; g < groups; g++, taps += 4, w += 4 * lanes) {
    const __m512i x0 = _mm512_loadu_si512(taps[0] + first), x1 = _mm512_loadu_si512(taps[1] + first);
    const __m512i x2 = _mm512_loadu_si512(taps[2] + first), x3 = _mm512_loadu_si512(taps[3] + first);
    const __m512i ab0 = _mm512_unpacklo_epi8(x0, x1), ab1 = _mm512_unpackhi_epi8(x0, x1);
    const __m512i cd0 = _mm512_unpacklo_epi8(x2, x3), cd1 = _mm512_unpackhi_epi8(x2, x3);
    sum[0] = _mm512_dpbusd_epi32(sum[0], _mm512_unpacklo_epi16(ab0, cd0), _mm512_loadu_si512(w));
    sum[1] = _mm512_dpbusd_epi32(sum[1], _mm512_unpackhi_epi16(ab0, cd0), _mm512_loadu_si512(w + 64));
    sum[2] = _mm512_dpbusd_epi32(sum[2], _mm512_unpacklo_epi16(ab1, cd1), _mm512_loadu_si512(w + 128));
    sum[3] = _mm512_dpbusd_epi32(sum[3], _mm512_unpackhi_epi16(ab1, cd1), _mm512_loadu_si512(w + 192));
  }
  __m512 v[4];
  for (int i = 0; i < 4; i++) v[i] = value16(sum[i], e->scale + 16 * i, e->bias + 16 * i);
  if (e->activation) {
    float real[lanes];
    for (int i = 0; i < 4; i++) _mm512_storeu_ps(real + 16 * i, v[i]);
    ckernels_int8_activate(real, lanes, e->activation);
    for (int i = 0; i < 4; i++)
      v[i] = _mm512_fmadd_ps(_mm512_loadu_ps(real + 16 * i), _mm512_set1_ps(e->quanta), _mm512_set1_ps(e->zero));
  }
  const __m512i low = _mm512_packs_epi32(quanta16(v[0], e), quanta16(v[1], e));
  const __m512i high = _mm512_packs_epi32(quanta16(v[2], e), quanta16(v[3], e));
  _mm512_mask_storeu_epi8(out, mask, _mm512_packus_epi16(low, high));
}
#endif

static void finish_lanes(
    const int32_t sums[lanes], size_t count, const ckernels_int8_epilogue *e, uint8_t *out) {
  uint8_t mixed[lanes];
  ckernels_int8_finish(sums, lanes, e, (ckernels_int8_output){.bytes = mixed, .stride = lanes});
  for (size_t c = 0; c < count; c++) out[c] = mixed[ckernels_int8_lane(c)];
}

static ckernels_int8_output moved(ckernels_int8_output o, size_t row, size_t column) {
  const size_t by = row * o.stride + column;
  return (ckernels_int8_output){o.bytes ? o.bytes + by : NULL, o.floats ? o.floats + by : NULL, o.stride};
}

void ckernels_int8_multiply(
    size_t rows, size_t depth, size_t columns, const uint8_t *a, size_t a_stride, const int8_t *weights,
    const ckernels_int8_epilogue *epilogue, ckernels_int8_output output) {
  const int32_t level = ckernels_int8_level();
  tile_kernel tile = portable_tile;
#if defined(__x86_64__)
  if (level == ckernels_int8_avx2) tile = avx2_tile;
#endif
  const size_t tiles = (rows + most_rows - 1) / most_rows;
  for (size_t column = 0; column < columns; column += block) {
    const size_t width = lesser(block, columns - column);
    ckernels_int8_epilogue e = *epilogue;
    e.scale += column;
    e.bias += column;
    if (e.residual) e.residual_scale += column;
    size_t row = 0;
    for (size_t t = 0; t < tiles; t++) {
      /* Equal shares, so that the last tile is no sliver. */
      const size_t count = (rows - row + (tiles - t) - 1) / (tiles - t);
      const ckernels_int8_output o = moved(output, row, column);
      e.residual = epilogue->residual ? epilogue->residual + row * output.stride + column : NULL;
      const int8_t *b = weights + column * depth;
#if defined(__x86_64__)
      if (level == ckernels_int8_vnni) {
        vnni_tiles[count - 1][width > 16](a + row * a_stride, a_stride, b, depth, width, &e, o);
        row += count;
        continue;
      }
#endif
      int32_t sums[most_rows][block];
      tile(count, a + row * a_stride, a_stride, b, depth, sums);
      for (size_t r = 0; r < count; r++) {
        ckernels_int8_finish(sums[r], width, &e, moved(o, r, 0));
        if (e.residual) e.residual += output.stride;
      }
      row += count;
    }
  }
}

/* Where the window's taps lie for the output pixel (oy, ox). */
static void find_taps(
    const ckernels_int8_window *w, const uint8_t *in, size_t oy, size_t ox, const ptrdiff_t *offsets, size_t count,
    const uint8_t **taps) {
  const long y0 = (long)(oy * w->stride_h) - (long)w->top, x0 = (long)(ox * w->stride_w) - (long)w->left;
  const uint8_t *origin = in + (y0 * (long)w->width + x0) * (long)w->stride;
  const int is_inside = y0 >= 0 && x0 >= 0 && y0 + (long)((w->kernel_h - 1) * w->dilation_h) < (long)w->height &&
                        x0 + (long)((w->kernel_w - 1) * w->dilation_w) < (long)w->width;
  if (is_inside) {
    for (size_t t = 0; t < count; t++) taps[t] = origin + offsets[t];
    return;
  }
  size_t t = 0;
  for (size_t ky = 0; ky < w->kernel_h; ky++) {
    const long y = y0 + (long)(ky * w->dilation_h);
    for (size_t kx = 0; kx < w->kernel_w; kx++, t++) {
      const long x = x0 + (long)(kx * w->dilation_w);
      const int is_pixel = y >= 0 && y < (long)w->height && x >= 0 && x < (long)w->width;
      taps[t] = is_pixel ? origin + offsets[t] : w->outside;
    }
  }
}

void ckernels_int8_depthwise(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output) {
  const int32_t level = ckernels_int8_level();
  lane_kernel kernel = portable_lanes;
#if defined(__x86_64__)
  if (level == ckernels_int8_avx2) kernel = avx2_lanes;
#endif
  const size_t count = w->kernel_h * w->kernel_w, groups = (count + 3) / 4;
  const uint8_t *taps[most_taps];
  ptrdiff_t offsets[most_taps];
  for (size_t t = 0; t < 4 * groups; t++) taps[t] = w->outside;
  for (size_t t = 0; t < count; t++)
    offsets[t] = (ptrdiff_t)((t / w->kernel_w * w->dilation_h * w->width + t % w->kernel_w * w->dilation_w) * w->stride);
  uint8_t *out = output.bytes;
  for (size_t oy = 0; oy < w->out_height; oy++) {
    for (size_t ox = 0; ox < w->out_width; ox++, out += output.stride) {
      find_taps(w, in, oy, ox, offsets, count, taps);
      ckernels_int8_epilogue e = *epilogue;
      const int8_t *v = weights;
      for (size_t c = 0; c < w->channels; c += lanes, v += 4 * lanes * groups, e.scale += lanes, e.bias += lanes) {
        const size_t part = lesser(lanes, w->channels - c);
#if defined(__x86_64__)
        if (level == ckernels_int8_vnni) {
          vnni_depthwise(taps, c, groups, v, part, &e, out + c);
          continue;
        }
#endif
        int32_t sums[lanes];
        kernel(taps, c, groups, v, part, sums);
        finish_lanes(sums, part, &e, out + c);
      }
    }
  }
}
