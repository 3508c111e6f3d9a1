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
#endif
