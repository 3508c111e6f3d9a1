#include "ckernels.h"

extern const ckernels_table ckernels_portable_table;
#if defined(__x86_64__)
extern const ckernels_table ckernels_avx2_table, ckernels_avx512_table;
#endif

const ckernels_table *ckernels_of(int32_t instruction_set) {
  switch (instruction_set) {
    case ckernels_portable: return &ckernels_portable_table;
#if defined(__x86_64__)
    case ckernels_avx2: return __builtin_cpu_supports("x86-64-v3") ? &ckernels_avx2_table : NULL;
    case ckernels_avx512: return __builtin_cpu_supports("x86-64-v4") ? &ckernels_avx512_table : NULL;
#endif
    default: return NULL;
  }
}

void ckernels_transpose(
    const float *a, size_t rows, size_t columns, size_t inner, float *out, size_t out_stride) {
  enum { tile = 16 };
  const size_t outer = columns / inner;
  for (size_t i0 = 0; i0 < rows; i0 += tile) {
    const size_t i1 = i0 + tile < rows ? i0 + tile : rows;
    for (size_t j = 0; j < columns; j++) {
      float *target = out + (j % inner * outer + j / inner) * out_stride;
      for (size_t i = i0; i < i1; i++) target[i] = a[i * columns + j];
    }
  }
}
