#if defined(__x86_64__)
#define TABLE ckernels_bf16_avx512_table
#define WIDTH 16
#define TILE_ROWS 12
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx512bf16,avx2,fma,bmi,bmi2"))), \
    apply_to = function)
#include "bf16_product.inc.h"
#include "bf16_tiles.inc.h"
#pragma clang attribute pop
#endif
