#pragma once
#include "int8_kernels.h"

/* Convolutions of bytes that unfold nothing: windows are read where they lie, in neighbouring pictures, band by band. */

/* Lines of results of pictures of one form, whose windows lie at equal steps. */
typedef struct {
  /* The first window, and bytes from it to the next in the line, to the one below and to the next picture's. */
  const uint8_t *a;
  size_t a_stride, a_line, a_picture;
  size_t width, lines, pictures;
  /* What is multiplied of each window: pieces of equal length, a multiple of 4, from these bytes on. */
  const size_t *segments;
  size_t segment_count, segment_length;
  /* As `int8_blocks_pack` makes them. */
  const int8_t *weights;
  size_t columns;
  ckernels_int8_epilogue epilogue;
  ckernels_int8_output output;
  /* Rows of results from picture to picture. */
  size_t area;
} int8_band;

/* Makes the results of a band, all columns. */
typedef void int8_band_kernel(const int8_band *band);

/* What the table's `multiply` does, by a kernel for bands: rows are a line of windows. */
void int8_as_band(const ckernels_int8_product *product, int8_band_kernel *kernel);

/* What the table's `convolve` does, by a kernel for bands. */
void int8_each_band(
    const ckernels_int8_window *w, size_t images, const uint8_t *in, size_t length, const int8_t *weights,
    size_t outputs, const ckernels_int8_epilogue *epilogue, ckernels_int8_output output, void *scratch,
    int8_band_kernel *kernel);

/* The table's `convolve_scratch`. */
size_t int8_band_scratch(const ckernels_int8_window *w, size_t length);

#if defined(__x86_64__)
int8_band_kernel int8_vnni_band;
#endif
