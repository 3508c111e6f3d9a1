#ifndef LOOKOUT_CIMAGECODECS_H
#define LOOKOUT_CIMAGECODECS_H

/* JPEG and PNG decoding from memory into memory, with every error a returned status.
 *
 * libjpeg and libpng report errors by longjmp, which Swift cannot catch; this module keeps both jumps inside itself.
 * It can go the day both libraries report errors by return value.
 *
 * All functions are reentrant, keep no state between calls and hand no allocation to the caller.
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

/* Decodes a JPEG picture to interleaved 8-bit RGB, rows top down without padding.
 *
 * The result has ceil(width * scale / 8) columns and ceil(height * scale / 8) rows, scale in 1...8; 8 is full size, with
 * the slow integer DCT and fancy upsampling. CMYK and YCCK count as inverted, as Adobe writes them.
 * `memory_limit` bounds the coefficients that a progressive picture needs, `scan_limit` its scans.
 * `error` receives a NUL-terminated text unless IC_OK is returned. */
ic_status ic_jpeg_decode(const uint8_t *_Nonnull bytes, size_t count, uint32_t width, uint32_t height, uint32_t scale,
                         size_t memory_limit, int32_t scan_limit, uint8_t *_Nonnull pixels, size_t capacity,
                         char *_Nonnull error);

/* Decodes a PNG picture of any kind to interleaved 8-bit RGB, alpha laid over white, rows top down without padding.
 *
 * `capacity` must be at least width * height * 4: pictures with alpha take that room on the way, and the result
 * lies in the first width * height * 3 bytes. Sixteen-bit samples give their upper byte; gamma is ignored.
 * `error` receives a NUL-terminated text unless IC_OK is returned. */
ic_status ic_png_decode(const uint8_t *_Nonnull bytes, size_t count, uint32_t width, uint32_t height,
                        uint8_t *_Nonnull pixels, size_t capacity, char *_Nonnull error);

#endif
