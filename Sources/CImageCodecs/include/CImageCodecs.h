#ifndef LOOKOUT_CIMAGECODECS_H
#define LOOKOUT_CIMAGECODECS_H

/* JPEG and PNG decoding from memory into memory, with every error a returned status.
 *
 * libjpeg and libpng report errors by longjmp, which Swift cannot catch; this module keeps both jumps inside itself.
 * It can go the day both libraries report errors by return value.
 *
 * Beside them stand the loops over pixels that want the processor's widest vectors.
 * All functions are reentrant and keep no state between calls but what an ic_jpeg_workspace holds, which is also the
 * only allocation that a caller gets.
 * The caller learns width and height from the header beforehand, checks them against its limits, and passes them in:
 * a file whose decoder sees other extents is refused before the first pixel is written. */

#include <stddef.h>
#include <stdint.h>

typedef int32_t ic_status;

enum {
  IC_OK = 0,
  IC_TRUNCATED = 1,   /* the bytes end before the picture does */
  IC_CORRUPT = 2,     /* the bytes break the format's rules */
  IC_UNSUPPORTED = 3, /* sound, but of a kind that the library does not decode */
  IC_LIMIT = 4        /* more memory or scans than allowed */
};

/* How many bytes an error text may take, its terminating NUL included. */
enum { IC_ERROR_BYTES = 200 };

/* A part of a picture in whole pixels. */
typedef struct {
  uint32_t left, top, width, height;
} ic_region;

/* How many more columns and rows than asked for ic_jpeg_decode may write, all sides together. */
enum { IC_JPEG_MARGIN = 64 };

/* What decoding one JPEG picture leaves for the next: the tables of its Huffman codes, 40 KiB. One thread at a time. */
typedef struct ic_jpeg_workspace ic_jpeg_workspace;

/* A new workspace for ic_jpeg_workspace_free to take back; NULL if there is no memory. */
ic_jpeg_workspace *_Nullable ic_jpeg_workspace_make(void);

void ic_jpeg_workspace_free(ic_jpeg_workspace *_Nullable workspace);

/* Decodes a part of a JPEG picture to interleaved 8-bit RGB, rows top down without padding.
 *
 * The whole picture would have ceil(width * scale / 8) columns and ceil(height * scale / 8) rows, scale in 1...8; 8 is
 * full size, with the slow integer DCT and fancy upsampling. Of these `region` is wanted; on return it is what was
 * written, the wanted part and some more around it. Of the rest no sample is computed; a file without an end is refused.
 * CMYK and YCCK count as inverted, as Adobe writes them.
 * `memory_limit` bounds the coefficients that a progressive picture needs, `scan_limit` its scans.
 * With a `workspace` the Huffman codes of pictures of one sequential scan are read here, without one by libjpeg; the
 * samples are the same.
 * `error` receives a NUL-terminated text unless IC_OK is returned. */
ic_status ic_jpeg_decode(const uint8_t *_Nonnull bytes, size_t count, uint32_t width, uint32_t height, uint32_t scale,
                         ic_region *_Nonnull region, size_t memory_limit, int32_t scan_limit,
                         ic_jpeg_workspace *_Nullable workspace, uint8_t *_Nonnull pixels, size_t capacity,
                         char *_Nonnull error);

/* Decodes a PNG picture of any kind to interleaved 8-bit RGB, alpha laid over white, rows top down without padding.
 *
 * `capacity` must be at least width * height * 4: pictures with alpha take that room on the way, and the result
 * lies in the first width * height * 3 bytes. Sixteen-bit samples give their upper byte; gamma is ignored.
 * `error` receives a NUL-terminated text unless IC_OK is returned. */
ic_status ic_png_decode(const uint8_t *_Nonnull bytes, size_t count, uint32_t width, uint32_t height,
                        uint8_t *_Nonnull pixels, size_t capacity, char *_Nonnull error);

/* Fractional bits of a resampling weight: 32 less 8 of the sample and 2 for sums that overshoot. */
enum { IC_WEIGHT_BITS = 32 - 8 - 2 };

/* Which samples of an axis make each of `count` results, with which weights.
 *
 * Result i is the sum of `counts[i]` samples from `starts[i]` on, each times its weight at `weights[i * stride]`.
 * All samples lie within `first` ..< `end`. */
typedef struct {
  const int32_t *_Nonnull starts;
  const int32_t *_Nonnull counts;
  const int32_t *_Nonnull weights;
  size_t count, stride, first, end;
} ic_axis;

/* Resamples each of `rows` rows along itself; sums are exact in 32 bits and rounded half up to 8.
 *
 * Only samples from axis->first to axis->end of a row are read. `scratch` needs 16 bytes for each sample read and for
 * each result of a row: 16 * channels * (axis->end - axis->first + axis->count). */
void ic_resample_rows(const uint8_t *_Nonnull source, size_t row_bytes, size_t rows, size_t channels,
                      const ic_axis *_Nonnull axis, uint8_t *_Nonnull target, size_t target_row_bytes,
                      uint8_t *_Nonnull scratch);

/* Resamples across rows of `row_bytes` samples; `source` begins with row axis->first. */
void ic_resample_columns(const uint8_t *_Nonnull source, size_t row_bytes, const ic_axis *_Nonnull axis,
                         uint8_t *_Nonnull target);

/* target[i] = samples[i] * scale[i % 48] + offset[i % 48]; 48 is a whole number of pixels of one or three samples. */
void ic_normalise(const uint8_t *_Nonnull samples, size_t count, const float *_Nonnull scale,
                  const float *_Nonnull offset, float *_Nonnull target);

/* Packs 8-bit grey (`channels` 1) or RGB (3) rows, top down without padding, as a PNG file.
 *
 * `count` says how much room `bytes` has, and then how much was used. `error` is set unless IC_OK is returned. */
ic_status ic_png_encode(const uint8_t *_Nonnull pixels, uint32_t width, uint32_t height, uint32_t channels,
                        uint8_t *_Nonnull bytes, size_t *_Nonnull count, char *_Nonnull error);

#endif
