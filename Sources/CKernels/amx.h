#pragma once
#include <stddef.h>
#include <stdint.h>

/* What the kernels on AMX share. A tile register holds up to 16 rows of 64 bytes; one instruction multiplies 16 rows of
   windows by 16 columns of weights, of which four bytes or two bf16 lie side by side. */

#if defined(__x86_64__)
#include <immintrin.h>
#define AMX \
  __attribute__((target( \
      "amx-tile,amx-int8,amx-bf16,avx512f,avx512bw,avx512cd,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,bmi,bmi2")))

enum { amx_rows = 16, amx_row_bytes = 64 };

/* What LDTILECFG reads (Intel's manual, volume 1, 18.3). */
typedef struct {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} amx_shapes;

/* Registers 0 to 3 hold sums, of two tiles of windows by two of columns, 4 and 5 windows, 6 and 7 weights: `height` windows
   by `row_bytes` bytes, a multiple of 4. For the thread, until _tile_release. */
AMX static inline void amx_configure(size_t height, size_t row_bytes) {
  amx_shapes s = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    s.rows[i] = (uint8_t)(i < 6 ? height : row_bytes / 4);
    s.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? row_bytes : amx_row_bytes);
  }
  _tile_loadconfig(&s);
}
#endif
