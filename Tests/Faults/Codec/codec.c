// JPEG and PNG encoders of the fault suite.
#include "faultcodec.h"
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <png.h>
#include <zlib.h>

size_t faults_encode_jpeg(const uint8_t *rgb, int width, int height, int quality, int is_progressive,
                          uint8_t **out) {
  struct jpeg_compress_struct picture;
  struct jpeg_error_mgr errors;
  unsigned long size = 0;
  *out = NULL;
  // The default handler ends the process, which is right for a generator of tests that is handed sound pixels.
  picture.err = jpeg_std_error(&errors);
  jpeg_create_compress(&picture);
  jpeg_mem_dest(&picture, out, &size);
  picture.image_width = width;
  picture.image_height = height;
  picture.input_components = 3;
  picture.in_color_space = JCS_RGB;
  jpeg_set_defaults(&picture);
  jpeg_set_quality(&picture, quality, TRUE);
  if (is_progressive) jpeg_simple_progression(&picture);
  jpeg_start_compress(&picture, TRUE);
  while (picture.next_scanline < picture.image_height) {
    JSAMPROW row = (JSAMPROW)(rgb + (size_t)picture.next_scanline * width * 3);
    jpeg_write_scanlines(&picture, &row, 1);
  }
  jpeg_finish_compress(&picture);
  jpeg_destroy_compress(&picture);
  return size;
}

size_t faults_encode_png(const uint8_t *rgb, int width, int height, uint8_t **out) {
  png_image picture = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(picture);
  *out = malloc(size);
  if (*out && png_image_write_to_memory(&picture, *out, &size, 0, rgb, 0, NULL)) return size;
  free(*out);
  *out = NULL;
  return 0;
}

size_t faults_compress_zeros(uint64_t count, uint8_t **out) {
  static const uint8_t zeros[1 << 16];
  z_stream stream = {0};
  *out = NULL;
  if (deflateInit(&stream, 6) != Z_OK) return 0;
  const size_t room = deflateBound(&stream, count / 500 + 4096);
  *out = malloc(room);
  stream.next_out = *out;
  stream.avail_out = *out ? (uInt)room : 0;
  int state = Z_OK;
  while (state == Z_OK) {
    if (stream.avail_in == 0) {
      stream.next_in = (uint8_t *)zeros;
      stream.avail_in = (uInt)(count < sizeof zeros ? count : sizeof zeros);
      count -= stream.avail_in;
    }
    state = deflate(&stream, count == 0 ? Z_FINISH : Z_NO_FLUSH);
  }
  const size_t size = stream.total_out;
  deflateEnd(&stream);
  if (state == Z_STREAM_END) return size;
  free(*out);
  *out = NULL;
  return 0;
}
