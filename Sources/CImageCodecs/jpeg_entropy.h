#ifndef LOOKOUT_JPEG_ENTROPY_H
#define LOOKOUT_JPEG_ENTROPY_H

#include "CImageCodecs.h"

#include <stdio.h>

#include <jpeglib.h>

/* Takes the entropy decoding of the scan that is about to begin into its own hands, after jpeg_start_decompress and
 * before the first row; nothing but jpeg_read_scanlines, jpeg_skip_scanlines, jpeg_crop_scanline and
 * jpeg_destroy_decompress may follow. The whole file must lie in the decoder's source. The workspace serves one
 * decoder at a time and must outlive it.
 *
 * Returns 0, and leaves the library to itself, where the picture is none of a single scan of Huffman codes in order. */
int jpeg_entropy_begin(j_decompress_ptr decoder, ic_jpeg_workspace *workspace);

/* Whether what is left of the file holds the marker that ends the scan; the rest is not decoded. */
int jpeg_entropy_ends(j_decompress_ptr decoder, const ic_jpeg_workspace *workspace);

#endif
