#include "int8_vnni.h"
#include <string.h>

#if defined(__x86_64__)
/* Products of bytes by AVX-512 VNNI, which multiplies four pairs and adds them up in one instruction (vpdpbusd). Windows are
   read where they lie: a row of a window is one segment, and the windows of a line of results start at equal steps. */

enum { most_rows = 12, vector = 16 };

/* Neighbouring rows that meet one block of columns. */
typedef struct {
  const uint8_t *a;
  size_t a_stride;
  /* What is multiplied of each row: pieces of equal length, a multiple of 4, from these bytes on. */
  const size_t *segments;
  size_t segment_count, segment_length;
  const int8_t *weights;
  /* From the block's first on; more than the block may be left. */
  size_t columns;
  ckernels_int8_epilogue epilogue;
  ckernels_int8_output output;
} line;

/* Results that are not bytes right away: an activation's, or floats. */
VNNI __attribute__((noinline)) static void finish_otherwise(
    const int32_t *sums, size_t rows, size_t halves, const line *l, size_t at) {
  const ckernels_int8_epilogue *e = &l->epilogue;
  const size_t count = lesser(l->columns, vector * halves);
  for (size_t r = 0; r < rows; r++, sums += vector * halves, at += l->output.stride) {
    __m512 v[4] = {0};
    for (size_t h = 0; h < halves; h++) {
      v[h] = value16(_mm512_loadu_si512(sums + vector * h), e->scale + vector * h, e->bias + vector * h);
      if (!e->residual) continue;
      const __m512i other = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(e->residual + at + vector * h)));
      v[h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(other), _mm512_loadu_ps(e->residual_scale + vector * h), v[h]);
    }
    float real[4 * vector];
    for (int i = 0; i < 4; i++) _mm512_storeu_ps(real + vector * i, v[i]);
    if (e->activation) ckernels_int8_activate(real, vector * halves, e->activation);
    if (l->output.floats) {
      memcpy(l->output.floats + at, real, count * sizeof(float));
      continue;
    }
    uint8_t bytes[2 * vector];
    const __m512 quanta = _mm512_set1_ps(e->quanta), zero = _mm512_set1_ps(e->zero), high = _mm512_set1_ps(e->high);
    for (size_t h = 0; h < halves; h++) {
      const __m512i x = quanta16(_mm512_fmadd_ps(_mm512_loadu_ps(real + vector * h), quanta, zero), high);
      const __m512i positive = _mm512_max_epi32(x, _mm512_set1_epi32((int)e->low));
      _mm_storeu_si128((__m128i *)(bytes + vector * h), _mm512_cvtusepi32_epi8(positive));
    }
    memcpy(l->output.bytes + at, bytes, count);
  }
}

/* Four vectors of results as bytes: of two rows of 32 columns, or of four rows of 16. */
VNNI INLINE void store_rows(__m512i x, const int halves, const int rows, size_t columns, uint8_t *out, size_t stride) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i y = _mm512_permutexvar_epi32(order, x);
  if (halves == 2) {
    const __m256i first = _mm512_castsi512_si256(y), second = _mm512_extracti64x4_epi64(y, 1);
    if (columns >= 2 * vector) {
      _mm256_storeu_si256((__m256i *)out, first);
      if (rows > 1) _mm256_storeu_si256((__m256i *)(out + stride), second);
    } else {
      const __mmask32 mask = (1u << columns) - 1;
      _mm256_mask_storeu_epi8(out, mask, first);
      if (rows > 1) _mm256_mask_storeu_epi8(out + stride, mask, second);
    }
    return;
  }
  const __m128i four[4] = {
      _mm512_castsi512_si128(y), _mm512_extracti32x4_epi32(y, 1), _mm512_extracti32x4_epi32(y, 2),
      _mm512_extracti32x4_epi32(y, 3)};
  const __mmask16 mask = columns >= vector ? 0xFFFF : (__mmask16)((1u << columns) - 1);
  UNROLL for (int r = 0; r < 4; r++) {
    if (r >= rows) continue;
    if (columns >= vector) _mm_storeu_si128((__m128i *)(out + (size_t)r * stride), four[r]);
    else _mm_mask_storeu_epi8(out + (size_t)r * stride, mask, four[r]);
  }
}

/* `tiles` times `rows` rows, one after the other, by one or two vectors of columns. */
VNNI INLINE void tiles_of(const int rows, const int halves, const line *l, size_t tiles) {
  const size_t a_stride = l->a_stride, stride = l->output.stride;
  const ckernels_int8_epilogue *e = &l->epilogue;
  const uint8_t *first_row = l->a;
  for (size_t at = 0; tiles > 0; tiles--, at += (size_t)rows * stride, first_row += (size_t)rows * a_stride) {
    __m512i sum[most_rows * 2];
    UNROLL for (int i = 0; i < rows * halves; i++) sum[i] = _mm512_setzero_si512();
    const int8_t *w = l->weights;
    for (size_t s = 0; s < l->segment_count; s++) {
      const uint8_t *a = first_row + l->segments[s];
      for (const uint8_t *end = a + l->segment_length; a < end; a += 4, w += 4 * block) {
        const __m512i w0 = _mm512_loadu_si512(w), w1 = _mm512_loadu_si512(w + 64);
        UNROLL for (int r = 0; r < rows; r++) {
          int32_t four;
          memcpy(&four, a + (size_t)r * a_stride, 4);
          const __m512i x = _mm512_set1_epi32(four);
          sum[r * halves] = _mm512_dpbusd_epi32(sum[r * halves], x, w0);
          if (halves == 2) sum[r * 2 + 1] = _mm512_dpbusd_epi32(sum[r * 2 + 1], x, w1);
        }
      }
    }
    if (e->activation || l->output.floats) {
      int32_t sums[most_rows * 2 * vector];
      UNROLL for (int i = 0; i < rows * halves; i++) _mm512_storeu_si512(sums + vector * i, sum[i]);
      finish_otherwise(sums, (size_t)rows, (size_t)halves, l, at);
      continue;
    }
    const __m512i low = low64(e);
    const __m512 high = _mm512_set1_ps(e->high);
    UNROLL for (int g = 0; g < rows * halves; g += 4) {
      __m512i x[4];
      UNROLL for (int i = 0; i < 4; i++) {
        if (g + i >= rows * halves) {
          x[i] = x[0];
          continue;
        }
        const int h = i % halves;
        __m512 v = value16(sum[g + i], e->scale + vector * h, e->bias + vector * h);
        if (e->residual) {
          const uint8_t *other = e->residual + at + (size_t)((g + i) / halves) * stride + vector * h;
          v = _mm512_fmadd_ps(
              _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)other))),
              _mm512_loadu_ps(e->residual_scale + vector * h), v);
        }
        x[i] = quanta16(v, high);
      }
      const int row = g / halves, left = rows - row;
      store_rows(
          bytes64(x[0], x[1], x[2], x[3], low), halves, left, l->columns,
          l->output.bytes + at + (size_t)row * stride, stride);
    }
  }
}

typedef void tile_kernel(const line *, size_t tiles);

#define TILES(rows, halves) \
  VNNI static void tiles_##rows##_##halves(const line *l, size_t tiles) { tiles_of(rows, halves, l, tiles); }
#define EACH_ROWS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define BOTH(rows) TILES(rows, 1) TILES(rows, 2)
EACH_ROWS(BOTH)
#define NAMES(rows) {tiles_##rows##_1, tiles_##rows##_2},
static tile_kernel *const kernels[most_rows][2] = {EACH_ROWS(NAMES)};

static line below(line l, size_t rows) {
  l.a += rows * l.a_stride;
  l.output = moved(l.output, rows, 0);
  if (l.epilogue.residual) l.epilogue.residual += rows * l.output.stride;
  return l;
}

/* All rows of a line in equal shares, so that the last tile is no sliver: first the taller ones. */
static void multiply_line(const line *l, size_t rows) {
  const size_t tiles = (rows + most_rows - 1) / most_rows, height = rows / tiles, taller = rows % tiles;
  const int is_wide = l->columns > vector;
  if (taller) {
    kernels[height][is_wide](l, taller);
    const line rest = below(*l, taller * (height + 1));
    kernels[height - 1][is_wide](&rest, tiles - taller);
  } else {
    kernels[height - 1][is_wide](l, tiles);
  }
}

static void multiply(const ckernels_int8_product *p) {
  if (p->rows == 0) return;
  const size_t start = 0;
  for (size_t column = 0; column < p->columns; column += block) {
    const line l = {
        .a = p->a, .a_stride = p->a_stride, .segments = &start, .segment_count = 1, .segment_length = p->depth,
        .weights = p->weights + column * p->depth, .columns = p->columns - column,
        .epilogue = moved_epilogue(&p->epilogue, 0, column, p->output.stride), .output = moved(p->output, 0, column)};
    multiply_line(&l, p->rows);
  }
}

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

static size_t convolve_scratch(const ckernels_int8_window *w, size_t length) {
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

/* `lines` lines of results of each of `count` pictures, with all columns. */
static void convolve_band(
    const ckernels_int8_window *w, const frame *f, line l, const uint8_t *in, size_t count, size_t lines,
    size_t outputs) {
  const size_t depth = l.segment_count * l.segment_length;
  const ckernels_int8_epilogue all = l.epilogue;
  const ckernels_int8_output output = l.output;
  const int8_t *weights = l.weights;
  for (size_t column = 0; column < outputs; column += block) {
    l.weights = weights + column * depth;
    l.columns = outputs - column;
    for (size_t n = 0; n < count; n++) {
      for (size_t y = 0; y < lines; y++) {
        const size_t row = (n * w->out_height + y) * w->out_width;
        l.a = in + n * f->picture + y * w->stride_h * f->line;
        l.epilogue = moved_epilogue(&all, row, column, output.stride);
        l.output = moved(output, row, column);
        multiply_line(&l, w->out_width);
      }
    }
  }
}

static void convolve(
    const ckernels_int8_window *w, size_t images, const uint8_t *in, size_t length, const int8_t *weights,
    size_t outputs, const ckernels_int8_epilogue *epilogue, ckernels_int8_output output, void *scratch) {
  const frame f = frame_of(w, length);
  size_t *segments = scratch;
  uint8_t *band = (uint8_t *)scratch + list_bytes(w);
  line l = {.a_stride = w->stride_w * f.pixel, .segments = segments, .weights = weights, .output = output};
  l.segment_count = segments_of(w, &f, length, segments, &l.segment_length);
  const size_t most = band_lines(w, &f), bands = (w->out_height + most - 1) / most;
  const size_t picture = w->height * w->width * w->stride, area = w->out_height * w->out_width;
  const size_t together = bands == 1 && f.picture < band_bytes ? band_bytes / f.picture : 1;
  const size_t groups = (images + together - 1) / together;
  for (size_t n = 0, left = groups; left > 0; left--) {
    const size_t count = share(images - n, left);
    for (size_t y = 0, rest = bands; rest > 0; rest--) {
      const size_t lines = share(w->out_height - y, rest), first = y * w->stride_h;
      const uint8_t *from = in + n * picture + first * f.line;
      if (f.is_copied) {
        const size_t fetched = reach(lines, w->stride_h, w->kernel_h, w->dilation_h);
        for (size_t i = 0; i < count; i++)
          copy_lines(w, in + (n + i) * picture, length, &f, first, fetched, band + i * f.picture);
        from = band;
      }
      const size_t row = n * area + y * w->out_width;
      l.epilogue = moved_epilogue(epilogue, row, 0, output.stride);
      l.output = moved(output, row, 0);
      convolve_band(w, &f, l, from, count, lines, outputs);
      y += lines;
    }
    n += count;
  }
}

const ckernels_int8_table int8_vnni_table = {
    .pack = int8_blocks_pack,
    .multiply = multiply,
    .multiply_scratch = int8_no_scratch,
    .pack_depthwise = int8_vnni_pack_depthwise,
    .depthwise = int8_vnni_depthwise,
    .convolve = convolve,
    .convolve_scratch = convolve_scratch,
};
#endif
