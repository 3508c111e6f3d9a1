/* PNG through libpng. Exists because libpng leaves by longjmp; see CImageCodecs.h. */

#include "CImageCodecs.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

typedef struct {
  const uint8_t *bytes;
  size_t left;
  ic_status status;
  char *text;
  jmp_buf escape;
} png_work;

static _Noreturn void leave(png_work *work, ic_status status, const char *text) {
  if (work->status == IC_OK) {
    work->status = status;
    snprintf(work->text, IC_ERROR_BYTES, "%s", text);
  }
  longjmp(work->escape, 1);
}

static _Noreturn void on_error(png_structp png, png_const_charp text) {
  leave(png_get_error_ptr(png), IC_CORRUPT, text);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void source_read(png_structp png, png_bytep into, size_t count) {
  png_work *work = png_get_io_ptr(png);
  if (count > work->left) leave(work, IC_TRUNCATED, "the data ends before the picture does");
  memcpy(into, work->bytes, count);
  work->bytes += count;
  work->left -= count;
}

/* Chunks that cannot change the pixels; reading them could only cost memory (compressed text and profiles). */
static const png_byte skipped[] =
    "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0sTER\0tEXt\0tIME\0zTXt";

static inline uint8_t over_white(uint32_t sample, uint32_t alpha) {
  uint32_t t = sample * alpha + 255 * (255 - alpha) + 128;
  return (uint8_t)(((t >> 8) + t) >> 8);
}

ic_status ic_png_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint8_t *pixels,
                        size_t capacity, char *error) {
  png_work work = {.bytes = bytes, .left = count, .status = IC_OK, .text = error};
  png_structp png = NULL;
  png_infop info = NULL;
  error[0] = 0;
  if (width == 0 || height == 0 || capacity / width / 4 < height) {
    snprintf(error, IC_ERROR_BYTES, "the picture does not fit its room");
    return IC_LIMIT;
  }
  png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &work, on_error, on_warning);
  if (png) info = png_create_info_struct(png);
  if (!info) {
    png_destroy_read_struct(&png, &info, NULL);
    snprintf(error, IC_ERROR_BYTES, "out of memory");
    return IC_LIMIT;
  }
  if (setjmp(work.escape)) {
    png_destroy_read_struct(&png, &info, NULL);
    return work.status;
  }

  png_set_read_fn(png, &work, source_read);
  png_set_user_limits(png, width, height);
  png_set_chunk_cache_max(png, 64);
  png_set_chunk_malloc_max(png, 4 << 20);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, skipped, (int)(sizeof skipped / 5));

  png_read_info(png, info);
  if (png_get_image_width(png, info) != width || png_get_image_height(png, info) != height)
    leave(&work, IC_CORRUPT, "two headers disagree about the picture's size");
  const int transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  const int has_alpha = transparent || (png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) != 0;
  png_set_expand(png);
  png_set_strip_16(png);
  png_set_gray_to_rgb(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);

  const size_t samples = has_alpha ? 4 : 3, row_bytes = width * samples;
  if (png_get_rowbytes(png, info) != row_bytes) leave(&work, IC_UNSUPPORTED, "an unknown layout of samples");
  for (int pass = 0; pass < passes; pass++)
    for (uint32_t y = 0; y < height; y++) png_read_row(png, pixels + y * row_bytes, NULL);
  png_read_end(png, NULL);

  if (has_alpha) {
    const size_t all = (size_t)width * height;
    const uint8_t *from = pixels;
    uint8_t *to = pixels;
    for (size_t i = 0; i < all; i++, from += 4, to += 3) {
      const uint8_t r = from[0], g = from[1], b = from[2], a = from[3];
      to[0] = over_white(r, a);
      to[1] = over_white(g, a);
      to[2] = over_white(b, a);
    }
  }
  png_destroy_read_struct(&png, &info, NULL);
  return IC_OK;
}

ic_status ic_png_encode(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, uint8_t *bytes,
                        size_t *count, char *error) {
  png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height};
  image.format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t room = *count;
  const int written = png_image_write_to_memory(&image, bytes, &room, 0, pixels, 0, NULL);
  *count = room;
  if (written) return IC_OK;
  snprintf(error, IC_ERROR_BYTES, "%s", image.message[0] ? image.message : "the room is too small");
  png_image_free(&image);
  return IC_LIMIT;
}
