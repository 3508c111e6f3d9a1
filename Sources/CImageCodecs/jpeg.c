/* JPEG through the libjpeg API of libjpeg-turbo. Exists because libjpeg leaves by longjmp; see CImageCodecs.h. */

#include "CImageCodecs.h"
#include "jpeg_entropy.h"

#include <assert.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

static_assert(BITS_IN_JSAMPLE == 8, "this libjpeg does not use 8-bit samples");

typedef struct {
  struct jpeg_decompress_struct decoder;
  struct jpeg_error_mgr errors;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  jmp_buf escape;
  int32_t scan_limit;
  ic_status status;
  char *text;
} jpeg_work;

static _Noreturn void leave(jpeg_work *work, ic_status status, const char *text) {
  work->status = status;
  snprintf(work->text, IC_ERROR_BYTES, "%s", text);
  longjmp(work->escape, 1);
}

static void on_error(j_common_ptr common) {
  jpeg_work *work = common->client_data;
  char text[JMSG_LENGTH_MAX];
  common->err->format_message(common, text);
  ic_status status = IC_CORRUPT;
  switch (common->err->msg_code) {
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_ARITH_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_COMPONENT_COUNT:
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
      status = IC_UNSUPPORTED;
      break;
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE:
    case JERR_IMAGE_TOO_BIG:
      status = IC_LIMIT;
      break;
    default:
      break;
  }
  leave(work, status, text);
}

/* Warnings (a bad code, extraneous bytes) leave a usable picture; the library repairs and goes on. */
static void on_message(j_common_ptr common, int level) {
  if (level < 0) common->err->num_warnings++;
}

static void on_output(j_common_ptr common) { (void)common; }

static void on_progress(j_common_ptr common) {
  jpeg_work *work = common->client_data;
  if (common->is_decompressor && work->decoder.input_scan_number > work->scan_limit)
    leave(work, IC_LIMIT, "more progressive scans than allowed");
}

static void source_start(j_decompress_ptr decoder) { (void)decoder; }

static boolean source_fill(j_decompress_ptr decoder) {
  leave(decoder->client_data, IC_TRUNCATED, "the data ends before the picture does");
}

static void source_skip(j_decompress_ptr decoder, long count) {
  if (count <= 0) return;
  if ((size_t)count > decoder->src->bytes_in_buffer) source_fill(decoder);
  decoder->src->next_input_byte += count;
  decoder->src->bytes_in_buffer -= (size_t)count;
}

static void source_stop(j_decompress_ptr decoder) { (void)decoder; }

static inline uint32_t product_255(uint32_t a, uint32_t b) {
  uint32_t t = a * b + 128;
  return ((t >> 8) + t) >> 8;
}

/* Turns one row of inverted CMYK into RGB, from the end of the picture's room to its place. */
static void cmyk_row(const uint8_t *from, uint8_t *to, uint32_t width) {
  for (uint32_t x = 0; x < width; x++, from += 4, to += 3) {
    uint32_t light = from[3];
    for (int c = 0; c < 3; c++) to[c] = (uint8_t)(light - product_255(255u - from[c], light));
  }
}

/* Widens the wanted part until the samples in it do not depend on what is left out, and makes the decoder skip the
 * columns beside it. Fancy upsampling looks one sample of a subsampled component to either side, and the library
 * begins at whole blocks of at most 32 pixels. */
static void narrow(struct jpeg_decompress_struct *decoder, ic_region *region) {
  const uint32_t margin = IC_JPEG_MARGIN / 8;
  const uint32_t right = region->left + region->width + margin, bottom = region->top + region->height + margin;
  JDIMENSION left = region->left < margin ? 0 : region->left - margin;
  JDIMENSION width = (right < decoder->output_width ? right : decoder->output_width) - left;
  if (width < decoder->output_width) jpeg_crop_scanline(decoder, &left, &width);
  region->left = left;
  region->width = width;
  region->top = region->top < margin ? 0 : region->top - margin;
  region->height = (bottom < decoder->output_height ? bottom : decoder->output_height) - region->top;
}

ic_status ic_jpeg_decode(const uint8_t *bytes, size_t count, uint32_t width, uint32_t height, uint32_t scale,
                         ic_region *region, size_t memory_limit, int32_t scan_limit, ic_jpeg_workspace *workspace,
                         uint8_t *pixels, size_t capacity, char *error) {
  jpeg_work work;
  memset(&work, 0, sizeof work);
  error[0] = 0;
  work.text = error;
  work.scan_limit = scan_limit;

  struct jpeg_decompress_struct *decoder = &work.decoder;
  decoder->err = jpeg_std_error(&work.errors);
  decoder->client_data = &work;
  work.errors.error_exit = on_error;
  work.errors.emit_message = on_message;
  work.errors.output_message = on_output;

  if (setjmp(work.escape)) {
    jpeg_destroy_decompress(&work.decoder);
    return work.status;
  }

  jpeg_create_decompress(decoder);
  decoder->mem->max_memory_to_use = (long)memory_limit;
  work.progress.progress_monitor = on_progress;
  decoder->progress = &work.progress;
  work.source.init_source = source_start;
  work.source.fill_input_buffer = source_fill;
  work.source.skip_input_data = source_skip;
  work.source.resync_to_restart = jpeg_resync_to_restart;
  work.source.term_source = source_stop;
  work.source.next_input_byte = bytes;
  work.source.bytes_in_buffer = count;
  decoder->src = &work.source;

  jpeg_read_header(decoder, TRUE);
  if (decoder->image_width != width || decoder->image_height != height)
    leave(&work, IC_CORRUPT, "two frame headers disagree about the picture's size");
  if (decoder->num_components != 1 && decoder->num_components != 3 && decoder->num_components != 4)
    leave(&work, IC_UNSUPPORTED, "neither one, three nor four components");
  const int is_cmyk = decoder->num_components == 4;
  decoder->out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  decoder->scale_num = scale;
  decoder->scale_denom = 8;

  jpeg_start_decompress(decoder);
  const size_t columns = decoder->output_width, rows = decoder->output_height;
  if (columns != ((size_t)width * scale + 7) / 8 || rows != ((size_t)height * scale + 7) / 8 || region->width == 0 ||
      region->height == 0 || (size_t)region->left + region->width > columns ||
      (size_t)region->top + region->height > rows)
    leave(&work, IC_LIMIT, "no such part of the picture");
  narrow(decoder, region);
  if (capacity / region->width / 3 < region->height) leave(&work, IC_LIMIT, "the picture does not fit its room");

  JSAMPARRAY four = NULL;
  if (is_cmyk)
    four = decoder->mem->alloc_sarray((j_common_ptr)decoder, JPOOL_IMAGE, (JDIMENSION)(region->width * 4), 1);
  const int is_ours = workspace != NULL && jpeg_entropy_begin(decoder, workspace);
  if (region->top > 0) jpeg_skip_scanlines(decoder, region->top);
  while (decoder->output_scanline < region->top + region->height) {
    JSAMPROW row = pixels + (size_t)(decoder->output_scanline - region->top) * region->width * 3;
    if (is_cmyk) {
      jpeg_read_scanlines(decoder, four, 1);
      cmyk_row(four[0], row, region->width);
    } else {
      jpeg_read_scanlines(decoder, &row, 1);
    }
  }
  /* What follows is looked at all the same: a file cut below the wanted part is cut. */
  if (decoder->output_scanline < rows) {
    if (!is_ours)
      jpeg_skip_scanlines(decoder, (JDIMENSION)rows - decoder->output_scanline);
    else if (!jpeg_entropy_ends(decoder, workspace))
      source_fill(decoder);
  }
  jpeg_destroy_decompress(decoder);
  return IC_OK;
}
