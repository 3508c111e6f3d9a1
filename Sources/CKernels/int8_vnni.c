#include "int8_kernels.h"
#include <string.h>

/* AVX-512 VNNI multiplies four pairs of bytes and adds them in one instruction (vpdpbusd). */

#if defined(__x86_64__)
#include <immintrin.h>
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")))
#define INLINE static inline __attribute__((always_inline))

enum { most_rows = 12 };

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

static void multiply(const ckernels_int8_product *p) {
  const size_t tiles = (p->rows + most_rows - 1) / most_rows;
  for (size_t column = 0; column < p->columns; column += block) {
    const size_t width = lesser(block, p->columns - column);
    size_t row = 0;
    for (size_t left = tiles; left > 0; left--) {
      const size_t count = share(p->rows - row, left);
      const ckernels_int8_epilogue e = moved_epilogue(&p->epilogue, row, column, p->output.stride);
      vnni_tiles[count - 1][width > 16](
          p->a + row * p->a_stride, p->a_stride, p->weights + column * p->depth, p->depth, width, &e,
          moved(p->output, row, column));
      row += count;
    }
  }
}

/* 64 channels of one pixel: bytes of four taps are interleaved, multiplied and added, and the order is restored by the
   packing of the results. */
VNNI static void lanes_of_pixel(
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

static void pixel(
    const uint8_t *const *taps, size_t count, const int8_t *weights, size_t channels,
    const ckernels_int8_epilogue *epilogue, uint8_t *out) {
  const size_t groups = (count + 3) / 4;
  ckernels_int8_epilogue e = *epilogue;
  for (size_t c = 0; c < channels; c += lanes, weights += 4 * lanes * groups, e.scale += lanes, e.bias += lanes)
    lanes_of_pixel(taps, c, groups, weights, lesser(lanes, channels - c), &e, out + c);
}

static void depthwise(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output) {
  int8_each_pixel(w, in, weights, epilogue, output, pixel);
}

const ckernels_int8_table int8_vnni_table = {
    .pack = int8_blocks_pack,
    .multiply = multiply,
    .multiply_scratch = int8_no_scratch,
    .pack_depthwise = int8_blocks_pack_depthwise,
    .lane = int8_blocks_lane,
    .depthwise = depthwise,
};
#endif
