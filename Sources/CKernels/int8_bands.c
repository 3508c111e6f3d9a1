#include "int8_bands.h"
#include <string.h>

/* Bytes of pictures that are convolved before the next are fetched: they pass once for each block of columns, and should
   still be in the second cache then. */
enum { band_bytes = 384 << 10 };

/* Pictures with what stands around them, as far as windows reach, or as they are if none reaches out. */
typedef struct {
  /* Bytes of a pixel, of a line and of a picture. */
  size_t pixel, line, picture;
  size_t height;
  int is_copied;
} frame;

static size_t reach(size_t count, size_t stride, size_t kernel, size_t dilation) {
  return (count - 1) * stride + (kernel - 1) * dilation + 1;
}

static frame frame_of(const ckernels_int8_window *w, size_t length) {
  const size_t height = reach(w->out_height, w->stride_h, w->kernel_h, w->dilation_h);
  const size_t width = reach(w->out_width, w->stride_w, w->kernel_w, w->dilation_w);
  if (w->top == 0 && w->left == 0 && height <= w->height && width <= w->width) {
    const size_t bytes = w->width * w->stride;
    return (frame){.pixel = w->stride, .line = bytes, .picture = w->height * bytes, .height = w->height};
  }
  return (frame){
      .pixel = length, .line = width * length, .picture = height * width * length, .height = height, .is_copied = 1};
}

/* Lines of results whose windows fill a band; all of them if a picture does not. */
static size_t band_lines(const ckernels_int8_window *w, const frame *f) {
  const size_t lines = band_bytes / f->line, first = (w->kernel_h - 1) * w->dilation_h + 1;
  if (lines <= first) return 1;
  return lesser((lines - first) / w->stride_h + 1, w->out_height);
}

/* The list of a window's pieces, before the band. */
static size_t list_bytes(const ckernels_int8_window *w) {
  return (w->kernel_h * w->kernel_w * sizeof(size_t) + 63) / 64 * 64;
}

size_t int8_band_scratch(const ckernels_int8_window *w, size_t length) {
  const frame f = frame_of(w, length);
  if (!f.is_copied) return list_bytes(w);
  const size_t lines = reach(band_lines(w, &f), w->stride_h, w->kernel_h, w->dilation_h);
  return list_bytes(w) + (lines * f.line > band_bytes ? lines * f.line : band_bytes);
}

static void copy_pixels(uint8_t *out, const uint8_t *in, size_t stride, size_t length, size_t count) {
  if (stride == length) {
    memcpy(out, in, count * length);
    return;
  }
  for (; count > 0; count--, out += length, in += stride) memcpy(out, in, length);
}

/* Lines of a picture from `first` on, counted from the uppermost that a window reaches. */
static void copy_lines(
    const ckernels_int8_window *w, const uint8_t *in, size_t length, const frame *f, size_t first, size_t count,
    uint8_t *out) {
  const size_t width = f->line / length, left = lesser(w->left, width), inside = lesser(w->width, width - left);
  for (size_t y = first; y < first + count; y++, out += f->line) {
    const int is_inside = y >= w->top && y < w->top + w->height;
    const size_t before = is_inside ? left : width;
    copy_pixels(out, w->outside, 0, length, before);
    if (!is_inside) continue;
    copy_pixels(out + left * length, in + (y - w->top) * w->width * w->stride, w->stride, length, inside);
    copy_pixels(out + (left + inside) * length, w->outside, 0, length, width - left - inside);
  }
}

/* Where the pieces of a window lie that are in one: whole rows of it if its pixels are neighbours, else pixels. */
static size_t segments_of(const ckernels_int8_window *w, const frame *f, size_t length, size_t *segments, size_t *each) {
  const int is_row = w->kernel_w == 1 || (w->dilation_w == 1 && f->pixel == length);
  size_t count = 0;
  for (size_t ky = 0; ky < w->kernel_h; ky++)
    for (size_t kx = 0; kx < (is_row ? 1 : w->kernel_w); kx++)
      segments[count++] = ky * w->dilation_h * f->line + kx * w->dilation_w * f->pixel;
  *each = is_row ? w->kernel_w * length : length;
  return count;
}

void int8_each_band(
    const ckernels_int8_window *w, size_t images, const uint8_t *in, size_t length, const int8_t *weights,
    size_t outputs, const ckernels_int8_epilogue *epilogue, ckernels_int8_output output, void *scratch,
    int8_band_kernel *kernel) {
  const frame f = frame_of(w, length);
  size_t *segments = scratch;
  uint8_t *copied = (uint8_t *)scratch + list_bytes(w);
  const size_t most = band_lines(w, &f), bands = (w->out_height + most - 1) / most;
  const size_t picture = w->height * w->width * w->stride, area = w->out_height * w->out_width;
  int8_band band = {
      .a_stride = w->stride_w * f.pixel, .a_line = w->stride_h * f.line, .a_picture = f.picture, .width = w->out_width,
      .segments = segments, .weights = weights, .columns = outputs, .area = area};
  band.segment_count = segments_of(w, &f, length, segments, &band.segment_length);
  const size_t together = bands == 1 && f.picture < band_bytes ? band_bytes / f.picture : 1;
  const size_t groups = (images + together - 1) / together;
  for (size_t n = 0, left = groups; left > 0; left--) {
    band.pictures = share(images - n, left);
    for (size_t y = 0, rest = bands; rest > 0; rest--) {
      band.lines = share(w->out_height - y, rest);
      const size_t first = y * w->stride_h;
      band.a = in + n * picture + first * f.line;
      if (f.is_copied) {
        const size_t fetched = reach(band.lines, w->stride_h, w->kernel_h, w->dilation_h);
        for (size_t i = 0; i < band.pictures; i++)
          copy_lines(w, in + (n + i) * picture, length, &f, first, fetched, copied + i * f.picture);
        band.a = copied;
      }
      const size_t row = n * area + y * w->out_width;
      band.epilogue = moved_epilogue(epilogue, row, 0, output.stride);
      band.output = moved(output, row, 0);
      kernel(&band);
      y += band.lines;
    }
    n += band.pictures;
  }
}

void int8_as_band(const ckernels_int8_product *p, int8_band_kernel *kernel) {
  if (p->rows == 0) return;
  const size_t start = 0;
  const int8_band band = {
      .a = p->a, .a_stride = p->a_stride, .width = p->rows, .lines = 1, .pictures = 1, .segments = &start,
      .segment_count = 1, .segment_length = p->depth, .weights = p->weights, .columns = p->columns,
      .epilogue = p->epilogue, .output = p->output};
  kernel(&band);
}
