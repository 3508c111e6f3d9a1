#pragma once
#include "int8_kernels.h"

/* What the AVX-512 kernels for bytes share: from sums to results. */

#if defined(__x86_64__)
#include <immintrin.h>
#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma")))
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("clang loop unroll(full)")

/* v of sixteen sums, as the header defines it, up to but without residual and activation. */
VNNI INLINE __m512 value16(__m512i sum, const float *scale, const float *bias) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(scale), _mm512_loadu_ps(bias));
}

/* Whole numbers of sixteen results. They are bounded from above before the rounding, since a number beyond 32 bits would
   become the least; from below afterwards, since the packing to bytes ends at 0 by itself. */
VNNI INLINE __m512i quanta16(__m512 v, __m512 high) { return _mm512_cvtps_epi32(_mm512_min_ps(v, high)); }

/* Four times sixteen whole numbers as bytes, none below `low`; within each quarter of the vector the first four of each of
   the four, then the next four of each in the next quarter. */
VNNI INLINE __m512i bytes64(__m512i a, __m512i b, __m512i c, __m512i d, __m512i low) {
  return _mm512_max_epu8(_mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)), low);
}

/* The quanta that f(v) comes to, sixteen at a time. */
VNNI INLINE void activate64(__m512 v[4], const ckernels_int8_epilogue *e) {
  float real[64];
  UNROLL for (int i = 0; i < 4; i++) _mm512_storeu_ps(real + 16 * i, v[i]);
  ckernels_int8_activate(real, 64, e->activation);
  UNROLL for (int i = 0; i < 4; i++)
    v[i] = _mm512_fmadd_ps(_mm512_loadu_ps(real + 16 * i), _mm512_set1_ps(e->quanta), _mm512_set1_ps(e->zero));
}

VNNI INLINE __m512i low64(const ckernels_int8_epilogue *e) { return _mm512_set1_epi8((char)(uint8_t)e->low); }

/* 32-bit numbers in a vector. */
enum { words = 16 };

/* Four vectors of results as bytes: of two rows of 32 columns, or of four rows of 16. */
VNNI INLINE void store_rows(__m512i x, const int halves, const int rows, size_t columns, uint8_t *out, size_t stride) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i y = _mm512_permutexvar_epi32(order, x);
  if (halves == 2) {
    const __m256i first = _mm512_castsi512_si256(y), second = _mm512_extracti64x4_epi64(y, 1);
    if (columns >= 2 * words) {
      _mm256_storeu_si256((__m256i *)out, first);
      if (rows > 1) _mm256_storeu_si256((__m256i *)(out + stride), second);
    } else {
      const __mmask32 mask = (1u << columns) - 1;
      _mm256_mask_storeu_epi8(out, mask, first);
      if (rows > 1) _mm256_mask_storeu_epi8(out + stride, mask, second);
    }
    return;
  }
  const __m128i four[4] = {
      _mm512_castsi512_si128(y), _mm512_extracti32x4_epi32(y, 1), _mm512_extracti32x4_epi32(y, 2),
      _mm512_extracti32x4_epi32(y, 3)};
  const __mmask16 mask = columns >= words ? 0xFFFF : (__mmask16)((1u << columns) - 1);
  UNROLL for (int r = 0; r < 4; r++) {
    if (r >= rows) continue;
    if (columns >= words) _mm_storeu_si128((__m128i *)(out + (size_t)r * stride), four[r]);
    else _mm_mask_storeu_epi8(out + (size_t)r * stride, mask, four[r]);
  }
}

/* Bytes of the sums of up to 4 / `halves` rows by one or two vectors of columns, of which `columns` are meant or more; the
   first result stands at `at`. There is no activation. */
VNNI INLINE void finish_rows(
    const __m512i *sum, const int halves, const int rows, size_t columns, const ckernels_int8_epilogue *e,
    ckernels_int8_output o, size_t at) {
  __m512i x[4];
  UNROLL for (int i = 0; i < 4; i++) {
    if (i / halves >= rows) {
      x[i] = x[0];
      continue;
    }
    const int h = i % halves;
    __m512 v = value16(sum[i], e->scale + words * h, e->bias + words * h);
    if (e->residual) {
      const uint8_t *other = e->residual + at + (size_t)(i / halves) * o.stride + words * h;
      v = _mm512_fmadd_ps(
          _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)other))),
          _mm512_loadu_ps(e->residual_scale + words * h), v);
    }
    x[i] = quanta16(v, _mm512_set1_ps(e->high));
  }
  store_rows(bytes64(x[0], x[1], x[2], x[3], low64(e)), halves, rows, columns, o.bytes + at, o.stride);
}

/* What `finish_rows` does for activations and floats, of any number of rows of sums. */
void int8_vnni_finish_otherwise(
    const int32_t *sums, size_t rows, size_t halves, size_t columns, const ckernels_int8_epilogue *e,
    ckernels_int8_output o, size_t at);
#endif
