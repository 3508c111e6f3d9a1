#pragma once
#include "int8_kernels.h"

/* What the AVX2 kernels for bytes share: from sums to results. */

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#define INLINE static inline __attribute__((always_inline))

/* Sums of eight columns, and what one row's four bytes or pair of 16-bit numbers at `x` adds to them. In assembly: left to
   themselves, compilers load what all rows of a tile multiply first and run out of registers. */
AVX2 INLINE __m256i plus_four(__m256i sum, const uint8_t *x, __m256i weights, __m256i ones) {
  __m256i t;
  __asm__("vpbroadcastd %2, %1\n\tvpmaddubsw %3, %1, %1\n\tvpmaddwd %4, %1, %1\n\tvpaddd %1, %0, %0"
          : "+x"(sum), "=&x"(t)
          : "m"(*(const uint8_t(*)[4])x), "x"(weights), "x"(ones));
  return sum;
}

/* The same of two fours whose products, pair by pair, stay within 16 bits together. */
AVX2 INLINE __m256i plus_eight(
    __m256i sum, const uint8_t *x, const uint8_t *y, __m256i left, __m256i right, __m256i ones) {
  __m256i t, u;
  __asm__("vpbroadcastd %3, %1\n\tvpbroadcastd %4, %2\n\tvpmaddubsw %5, %1, %1\n\tvpmaddubsw %6, %2, %2\n\t"
          "vpaddw %2, %1, %1\n\tvpmaddwd %7, %1, %1\n\tvpaddd %1, %0, %0"
          : "+x"(sum), "=&x"(t), "=&x"(u)
          : "m"(*(const uint8_t(*)[4])x), "m"(*(const uint8_t(*)[4])y), "x"(left), "x"(right), "x"(ones));
  return sum;
}

AVX2 INLINE __m256i plus_pair(__m256i sum, const int16_t *x, __m256i weights) {
  __m256i t;
  __asm__("vpbroadcastd %2, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0"
          : "+x"(sum), "=&x"(t)
          : "m"(*(const int16_t(*)[2])x), "x"(weights));
  return sum;
}

/* The same for sixteen columns. */
AVX2 INLINE void plus_pair_of_two(__m256i sum[2], const int16_t *x, __m256i low, __m256i high) {
  __m256i t, u;
  __asm__("vpbroadcastd %4, %2\n\tvpmaddwd %5, %2, %3\n\tvpaddd %3, %0, %0\n\tvpmaddwd %6, %2, %2\n\tvpaddd %2, %1, %1"
          : "+x"(sum[0]), "+x"(sum[1]), "=&x"(t), "=&x"(u)
          : "m"(*(const int16_t(*)[2])x), "x"(low), "x"(high));
}

/* The first `count` of sixteen bytes, of which `most` may be meant. */
AVX2 INLINE void store_bytes(uint8_t *out, __m128i x, size_t count, const size_t most) {
  if (count >= most) {
    if (most == 16) _mm_storeu_si128((__m128i *)out, x);
    else _mm_storel_epi64((__m128i *)out, x);
    return;
  }
  uint8_t bytes[16];
  _mm_storeu_si128((__m128i *)bytes, x);
  for (size_t i = 0; i < count; i++) out[i] = bytes[i];
}

/* Where a block of results stands: row 0 and its first column. */
typedef struct {
  size_t row, column;
} place;

/* What becomes of the sums of eight columns, in registers. */
typedef struct {
  __m256 scale, bias, residual_scale, high;
  __m128i low;
  const uint8_t *residual;
} outcome;

AVX2 INLINE outcome outcome_of(const ckernels_int8_epilogue *e, size_t stride, place at) {
  return (outcome){
      .scale = _mm256_loadu_ps(e->scale + at.column),
      .bias = _mm256_loadu_ps(e->bias + at.column),
      .residual_scale = e->residual ? _mm256_loadu_ps(e->residual_scale + at.column) : _mm256_setzero_ps(),
      .high = _mm256_set1_ps(e->high),
      .low = _mm_set1_epi8((char)(uint8_t)e->low),
      .residual = e->residual ? e->residual + at.row * stride + at.column : NULL,
  };
}

/* v of eight sums, as the header defines it, up to but without the activation; `by` bytes from the first of the block. */
AVX2 INLINE __m256 value8(__m256i sum, const outcome *to, size_t by) {
  const __m256 v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), to->scale, to->bias);
  if (!to->residual) return v;
  const __m128i other = _mm_loadl_epi64((const __m128i *)(to->residual + by));
  return _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(other)), to->residual_scale, v);
}

/* The lower bound is for the packed bytes: what is below the least number saturates to 0 on the way. */
AVX2 INLINE __m256i quanta8(__m256 v, __m256 high) { return _mm256_cvtps_epi32(_mm256_min_ps(v, high)); }

AVX2 INLINE __m128i packed16(__m256i low, __m256i high, __m128i least) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
  const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  return _mm_max_epu8(bytes, least);
}

/* Real numbers to the output's quanta. */
AVX2 INLINE __m256i quanta_of(const float *real, const ckernels_int8_epilogue *e) {
  const __m256 v = _mm256_fmadd_ps(_mm256_loadu_ps(real), _mm256_set1_ps(e->quanta), _mm256_set1_ps(e->zero));
  return quanta8(v, _mm256_set1_ps(e->high));
}

/* Bytes of eight columns of four rows, one row behind the other. */
AVX2 INLINE __m256i packed32(const __m256i quanta[4], __m128i least) {
  const __m256i bytes =
      _mm256_packus_epi16(_mm256_packs_epi32(quanta[0], quanta[1]), _mm256_packs_epi32(quanta[2], quanta[3]));
  const __m256i rows = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  return _mm256_max_epu8(rows, _mm256_broadcastsi128_si256(least));
}

/* Results of eight columns, of which `count` are meant, for `rows` rows of sums; the first lies `first` from the start. */
AVX2 INLINE void finish(
    const int rows, const __m256i *sum, size_t count, const outcome *to, const ckernels_int8_epilogue *e,
    ckernels_int8_output o, size_t first) {
  if (!e->activation && !o.floats) {
    uint8_t *out = o.bytes + first;
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r += 4) {
      __m256i quanta[4];
#pragma clang loop unroll(full)
      for (int i = 0; i < 4; i++) {
        const int row = r + i < rows ? r + i : rows - 1;
        quanta[i] = quanta8(value8(sum[row], to, (size_t)row * o.stride), to->high);
      }
      const __m256i bytes = packed32(quanta, to->low);
      const __m128i halves[2] = {_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)};
#pragma clang loop unroll(full)
      for (int i = 0; i < 4 && r + i < rows; i++) {
        uint8_t *row = out + (size_t)(r + i) * o.stride;
        if (count < 8) store_bytes(row, i % 2 ? _mm_srli_si128(halves[i / 2], 8) : halves[i / 2], count, 8);
        else if (i % 2) _mm_storeh_pd((double *)row, _mm_castsi128_pd(halves[i / 2]));
        else _mm_storel_epi64((__m128i *)row, halves[i / 2]);
      }
    }
    return;
  }
  float real[16 * 8];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) _mm256_storeu_ps(real + 8 * r, value8(sum[r], to, (size_t)r * o.stride));
  if (e->activation) ckernels_int8_activate(real, (size_t)rows * 8, e->activation);
  for (size_t r = 0; r < (size_t)rows; r++) {
    if (o.floats) {
      for (size_t c = 0; c < lesser(count, 8); c++) o.floats[first + r * o.stride + c] = real[8 * r + c];
    } else {
      const __m256i quanta = quanta_of(real + 8 * r, e);
      store_bytes(o.bytes + first + r * o.stride, packed16(quanta, quanta, to->low), count, 8);
    }
  }
}

/* Results of sixteen columns, of which `count` are meant, for one row of sums. */
AVX2 INLINE void finish_wide(
    const __m256i sum[2], size_t count, const ckernels_int8_epilogue *e, ckernels_int8_output o, place at) {
  const outcome left = outcome_of(e, o.stride, at), right = outcome_of(e, o.stride, (place){at.row, at.column + 8});
  const __m256 low = value8(sum[0], &left, 0), high = value8(sum[1], &right, 0);
  const size_t first = at.row * o.stride + at.column;
  if (!e->activation && !o.floats) {
    store_bytes(o.bytes + first, packed16(quanta8(low, left.high), quanta8(high, left.high), left.low), count, 16);
    return;
  }
  float real[16];
  _mm256_storeu_ps(real, low);
  _mm256_storeu_ps(real + 8, high);
  if (e->activation) ckernels_int8_activate(real, 16, e->activation);
  if (o.floats) {
    for (size_t c = 0; c < lesser(count, 16); c++) o.floats[first + c] = real[c];
  } else {
    store_bytes(o.bytes + first, packed16(quanta_of(real, e), quanta_of(real + 8, e), left.low), count, 16);
  }
}
#endif
