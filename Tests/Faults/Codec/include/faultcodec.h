#pragma once
#include <stddef.h>
#include <stdint.h>

/// Encodes 8-bit RGB pixels, rows top to bottom without gaps; 0 on failure. The bytes are the caller's, to be freed.
size_t faults_encode_jpeg(
    const uint8_t *_Nonnull rgb, int width, int height, int quality, int is_progressive,
    uint8_t *_Nullable *_Nonnull out);
size_t faults_encode_png(const uint8_t *_Nonnull rgb, int width, int height, uint8_t *_Nullable *_Nonnull out);

/// Compresses so many zero bytes as one zlib stream, about a thousandth in size; 0 on failure. The bytes are the caller's, to be
/// freed.
size_t faults_compress_zeros(uint64_t count, uint8_t *_Nullable *_Nonnull out);
