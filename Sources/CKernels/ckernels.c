#include "ckernels.h"
#include "ckernels_bf16.h"
#if defined(__x86_64__)
#include <cpuid.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

extern const ckernels_table ckernels_portable_table;
extern const ckernels_bf16_table ckernels_bf16_portable_table;
#if defined(__x86_64__)
extern const ckernels_table ckernels_avx2_table, ckernels_avx512_table;
extern const ckernels_bf16_table ckernels_bf16_avx512_table, ckernels_bf16_amx_table;

/* Tiles of bytes and of bf16 (CPUID leaf 7, EDX), VNNI beside them, and leave to use their registers, which are not saved for
   a process that has not asked. */
static int has_amx(void) {
  enum { ask_for_feature = 0x1023, tile_data = 18 };
  static _Atomic int known;
  int answer = atomic_load_explicit(&known, memory_order_relaxed);
  if (answer == 0) {
    unsigned a, b, c, d = 0;
    const unsigned wanted = 1u << 22 | 1u << 24 | 1u << 25;
    const int is_there = __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vnni")
        && __builtin_cpu_supports("avx512bf16") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & wanted) == wanted;
    answer = is_there && syscall(SYS_arch_prctl, ask_for_feature, tile_data) == 0 ? 1 : -1;
    atomic_store_explicit(&known, answer, memory_order_relaxed);
  }
  return answer > 0;
}
#endif

const ckernels_table *ckernels_of(int32_t instruction_set) {
  switch (instruction_set) {
    case ckernels_portable: return &ckernels_portable_table;
#if defined(__x86_64__)
    case ckernels_avx2: return __builtin_cpu_supports("x86-64-v3") ? &ckernels_avx2_table : NULL;
    case ckernels_avx512: return __builtin_cpu_supports("x86-64-v4") ? &ckernels_avx512_table : NULL;
    case ckernels_amx: return has_amx() ? &ckernels_avx512_table : NULL;
#endif
    default: return NULL;
  }
}

int32_t ckernels_halves_pay(void) {
#if defined(__x86_64__)
  return __builtin_cpu_is("amdfam19h");
#else
  return 0;
#endif
}

void ckernels_fetch(const float *numbers, size_t count) {
  for (size_t i = 0; i < count; i += 16) __builtin_prefetch(numbers + i, 0, 2);
}

const ckernels_bf16_table *ckernels_bf16_of(int32_t instruction_set) {
  switch (instruction_set) {
    case ckernels_portable: return &ckernels_bf16_portable_table;
#if defined(__x86_64__)
    case ckernels_amx: return has_amx() ? &ckernels_bf16_amx_table : NULL;
    case ckernels_avx512:
      if (!__builtin_cpu_supports("x86-64-v4") || !__builtin_cpu_supports("avx512bf16")) return NULL;
      return &ckernels_bf16_avx512_table;
#endif
    default: return NULL;
  }
}

void ckernels_transpose(
    const float *a, const float *scale, size_t rows, size_t outer, size_t inner, float *out, size_t height,
    size_t out_stride) {
  enum { tile = 16 };
  for (size_t first = 0; first < rows; first += tile) {
    const size_t count = rows - first < tile ? rows - first : tile;
    const float *corner = a + first * outer * inner;
    float factors[tile];
    for (size_t i = 0; i < tile; i++) factors[i] = scale && i < count ? scale[first + i] : 1;
    for (size_t x = 0; x < outer; x++) {
      for (size_t y = 0; y < inner; y++) {
        float *target = out + (y * height + x) * out_stride + first;
        const float *source = corner + x * inner + y;
        if (count == tile) {
          for (size_t i = 0; i < tile; i++) target[i] = source[i * outer * inner] * factors[i];
        } else {
          for (size_t i = 0; i < count; i++) target[i] = source[i * outer * inner] * factors[i];
        }
      }
    }
  }
}
