#if defined(__x86_64__)
#define TABLE ckernels_avx2_table
#define WIDTH 8
#define TILE_ROWS 6
#pragma clang attribute push(__attribute__((target("avx,avx2,fma,bmi,bmi2"))), apply_to = function)
#include "kernels.inc.h"
#pragma clang attribute pop
#endif
