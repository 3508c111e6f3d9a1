#pragma once
#include "int8_avx2.h"

/* How the AVX2 kernels want the weights of products. Their instruction for bytes, vpmaddubsw, adds two products and saturates
   at 16 bits. So for each eight columns weights are packed as two lists of fours of rows, each with the row where it begins.
   In the narrow one no two neighbours can pass 16 bits, whatever bytes they meet. Doubtful fours, which could, stand in it
   twice, with half of each weight, while they are few; else they stand in the wide one, in 16 bits for vpmaddwd, and meet
   widened bytes. Narrow fours come first two by two, where the sums of both together stay within 16 bits. */
enum { vector = 8, four = 4 * vector };

/* The lists of a vector: how many fours of each kind, those in pairs among the narrow, and where their rows and weights lie,
   in bytes from the start of all. */
typedef struct {
  size_t paired, narrow, wide, rows, weights;
} lists;

/* See `pack` of the table. The lists' heads, one a vector, come first. */
size_t int8_avx2_pack(const int8_t *weights, size_t columns, size_t depth, int8_t *packed);
