// JPEG and PNG encoders of the fault suite.
#include "faultcodec.h"
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <png.h>

size_t faults_encode_jpeg(const uint8_t *rgb, int width, int height, int quality, uint8_t **out) {
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
