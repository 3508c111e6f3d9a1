/* Resampling along one axis, and 8-bit samples to floats. In C because the compiler makes one version an instruction set
 * from one text and the loader picks; Swift has no such thing. See CImageCodecs.h. */

#include "CImageCodecs.h"

/* ThreadSanitizer instruments the choice too, which the loader makes before there is a thread. */
#if defined(__x86_64__) && !__has_feature(thread_sanitizer)
#define WIDE __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define WIDE
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef uint8_t bytes16 __attribute__((vector_size(LANES)));
typedef int32_t sums16 __attribute__((vector_size(LANES * 4)));
typedef float floats16 __attribute__((vector_size(LANES * 4)));

INLINE bytes16 load(const uint8_t *from) {
  bytes16 value;
  __builtin_memcpy(&value, from, LANES);
  return value;
}

INLINE void store(uint8_t *to, bytes16 value) { __builtin_memcpy(to, &value, LANES); }

/* Wide vectors go by address: passed by value, their place would differ from one version to the next. */
INLINE void store_rounded(uint8_t *to, const sums16 *sums) {
  const sums16 zero = {0}, most = zero + 255, levels = *sums >> IC_WEIGHT_BITS;
  store(to, __builtin_convertvector(__builtin_elementwise_min(__builtin_elementwise_max(levels, zero), most), bytes16));
}

INLINE void add_weighted(sums16 *sums, const uint8_t *samples, int32_t weight) {
  *sums += __builtin_convertvector(load(samples), sums16) * weight;
}

enum { HALF = 1 << (IC_WEIGHT_BITS - 1) };

/* Sixteen rows of sixteen bytes become sixteen columns: four perfect shuffles. */
INLINE void turn(const uint8_t *const rows[LANES], size_t offset, uint8_t *to, size_t to_stride) {
  bytes16 a[LANES], b[LANES];
  for (int i = 0; i < LANES; i++) a[i] = load(rows[i] + offset);
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < LANES / 2; i++) {
      b[2 * i] = __builtin_shufflevector(a[i], a[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      b[2 * i + 1] =
          __builtin_shufflevector(a[i], a[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (int i = 0; i < LANES; i++) a[i] = b[i];
  }
  for (int i = 0; i < LANES; i++) store(to + (size_t)i * to_stride, a[i]);
}

/* Rows become columns of sixteen in `scratch`, so that one vector holds the same sample of sixteen rows. */
WIDE void ic_resample_rows(const uint8_t *source, size_t row_bytes, size_t rows, size_t channels, const ic_axis *axis,
                           uint8_t *target, size_t target_row_bytes, uint8_t *scratch) {
  const size_t first = axis->first * channels, span = (axis->end - axis->first) * channels;
  const size_t columns = axis->count * channels;
  uint8_t *const results = scratch + span * LANES;
  for (size_t top = 0; top < rows; top += LANES) {
    const size_t height = rows - top < LANES ? rows - top : LANES;
    const uint8_t *from[LANES];
    for (size_t r = 0; r < LANES; r++) from[r] = source + (top + (r < height ? r : height - 1)) * row_bytes + first;
    size_t x = 0;
    for (; x + LANES <= span; x += LANES) turn(from, x, scratch + x * LANES, LANES);
    for (; x < span; x++)
      for (size_t r = 0; r < LANES; r++) scratch[x * LANES + r] = from[r][x];

    for (size_t i = 0; i < axis->count; i++) {
      const int32_t *weights = axis->weights + i * axis->stride;
      for (size_t c = 0; c < channels; c++) {
        const uint8_t *samples = scratch + (((size_t)axis->starts[i] - axis->first) * channels + c) * LANES;
        sums16 sums = (sums16){0} + HALF;
        for (int32_t k = 0; k < axis->counts[i]; k++, samples += channels * LANES)
          add_weighted(&sums, samples, weights[k]);
        store_rounded(results + (i * channels + c) * LANES, &sums);
      }
    }

    const uint8_t *turned[LANES];
    for (x = 0; height == LANES && x + LANES <= columns; x += LANES) {
      for (int i = 0; i < LANES; i++) turned[i] = results + (x + (size_t)i) * LANES;
      turn(turned, 0, target + top * target_row_bytes + x, target_row_bytes);
    }
    for (; x < columns; x++)
      for (size_t r = 0; r < height; r++) target[(top + r) * target_row_bytes + x] = results[x * LANES + r];
  }
}

WIDE void ic_resample_columns(const uint8_t *source, size_t row_bytes, const ic_axis *axis, uint8_t *target) {
  for (size_t line = 0; line < axis->count; line++, target += row_bytes) {
    const uint8_t *rows = source + ((size_t)axis->starts[line] - axis->first) * row_bytes;
    const int32_t *weights = axis->weights + line * axis->stride, taps = axis->counts[line];
    size_t x = 0;
    for (; x + 4 * LANES <= row_bytes; x += 4 * LANES) {
      sums16 sums[4];
      for (int part = 0; part < 4; part++) sums[part] = (sums16){0} + HALF;
      for (int32_t k = 0; k < taps; k++) {
        const uint8_t *samples = rows + (size_t)k * row_bytes + x;
        for (int part = 0; part < 4; part++) add_weighted(&sums[part], samples + part * LANES, weights[k]);
      }
      for (int part = 0; part < 4; part++) store_rounded(target + x + part * LANES, &sums[part]);
    }
    for (; x < row_bytes; x++) {
      int32_t sum = HALF;
      for (int32_t k = 0; k < taps; k++) sum += rows[(size_t)k * row_bytes + x] * weights[k];
      sum >>= IC_WEIGHT_BITS;
      target[x] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
  }
}

WIDE void ic_normalise(const uint8_t *samples, size_t count, const float *scale, const float *offset, float *target) {
  size_t i = 0;
  for (; i + 3 * LANES <= count; i += 3 * LANES)
    for (size_t part = 0; part < 3; part++) {
      floats16 values = __builtin_convertvector(load(samples + i + part * LANES), floats16), a, b;
      __builtin_memcpy(&a, scale + part * LANES, sizeof a);
      __builtin_memcpy(&b, offset + part * LANES, sizeof b);
      values = values * a + b;
      __builtin_memcpy(target + i + part * LANES, &values, sizeof values);
    }
  for (; i < count; i++) target[i] = (float)samples[i] * scale[i % (3 * LANES)] + offset[i % (3 * LANES)];
}
