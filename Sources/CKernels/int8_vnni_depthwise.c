#include "int8_vnni.h"
#include <string.h>

#if defined(__x86_64__)
/* Depthwise convolutions by AVX-512 VNNI. The bytes of four lines of a picture are interleaved once a column, for 64
   channels, and meet the weights of each column of the windows that they stand in: four products in one instruction. Where
   no more than 32 channels are left, two lines of results are made at once, one in each half of the vectors. */

enum { fours = 4, vector = 64, column_bytes = fours * vector, half = lanes / 2 };

/* Columns of interleaved bytes, a group of four lines, that stay in the nearest cache; no fewer than windows may have. */
enum { most_columns = 96 };

static size_t groups_of(size_t kernel_h) { return (kernel_h + fours - 1) / fours; }

/* Where a channel of a block stands when lines have been interleaved: sixteen neighbours are spread over four vectors. */
static size_t lane_of(size_t channel) { return channel / 4 % 4 * 16 + channel / 16 * 4 + channel % 4; }

/* [64 channels][group of four lines][column][lane][4] */
size_t int8_vnni_pack_depthwise(
    const int8_t *weights, size_t channels, size_t kernel_h, size_t kernel_w, int8_t *packed) {
  const size_t each = groups_of(kernel_h) * kernel_w * column_bytes, size = (channels + lanes - 1) / lanes * each;
  if (!packed) return size;
  memset(packed, 0, size);
  for (size_t c = 0; c < channels; c++) {
    const size_t first = c / lanes * lanes, copies = channels - first <= half ? 2 : 1;
    for (size_t copy = 0; copy < copies; copy++) {
      int8_t *lane = packed + c / lanes * each + lane_of(c - first + copy * half) * fours;
      for (size_t y = 0; y < kernel_h; y++)
        for (size_t x = 0; x < kernel_w; x++)
          lane[(y / fours * kernel_w + x) * column_bytes + y % fours] = weights[(c * kernel_h + y) * kernel_w + x];
    }
  }
  return size;
}

/* A block of channels in four lines, for one line of results or two: where each begins, and its bytes from pixel to pixel;
   none where it lies outside. */
typedef struct {
  const uint8_t *start[2][fours];
  size_t step[2][fours];
} lines;

/* What is made of a block of channels. */
typedef struct {
  const ckernels_int8_window *window;
  const int8_t *weights;
  size_t groups, channels;
  /* In the order of lanes. */
  __m512 scale[fours], bias[fours];
  const ckernels_int8_epilogue *epilogue;
} task;

VNNI INLINE __m512i load(const lines *l, int i, size_t x, const int is_pair) {
  const uint8_t *first = l->start[0][i] + x * l->step[0][i];
  if (!is_pair) return _mm512_loadu_si512(first);
  const __m256i second = _mm256_loadu_si256((const __m256i *)(l->start[1][i] + x * l->step[1][i]));
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)first)), second, 1);
}

VNNI INLINE void interleave(const lines *l, size_t x, const int is_pair, uint8_t *out) {
  const __m512i a = load(l, 0, x, is_pair), b = load(l, 1, x, is_pair);
  const __m512i c = load(l, 2, x, is_pair), d = load(l, 3, x, is_pair);
  const __m512i ab0 = _mm512_unpacklo_epi8(a, b), ab1 = _mm512_unpackhi_epi8(a, b);
  const __m512i cd0 = _mm512_unpacklo_epi8(c, d), cd1 = _mm512_unpackhi_epi8(c, d);
  _mm512_store_si512(out, _mm512_unpacklo_epi16(ab0, cd0));
  _mm512_store_si512(out + vector, _mm512_unpackhi_epi16(ab0, cd0));
  _mm512_store_si512(out + 2 * vector, _mm512_unpacklo_epi16(ab1, cd1));
  _mm512_store_si512(out + 3 * vector, _mm512_unpackhi_epi16(ab1, cd1));
}

/* `count` results of one line, or of two, from the columns under them. */
VNNI INLINE void results(
    const task *t, const int is_pair, const int is_activated, const size_t groups, const size_t kernel_w,
    const uint8_t *columns, size_t column_count, size_t count, uint8_t *out, uint8_t *second, size_t stride) {
  const __m512 high = _mm512_set1_ps(t->epilogue->high);
  const __m512i low = low64(t->epilogue);
  const size_t step = t->window->stride_w * column_bytes;
  const __mmask64 mask = t->channels >= lanes ? ~0ull : (1ull << t->channels) - 1;
  for (; count > 0; count--, columns += step, out += stride, second += stride) {
    __m512i sum[fours];
    UNROLL for (int i = 0; i < fours; i++) sum[i] = _mm512_setzero_si512();
    const int8_t *w = t->weights;
    for (size_t g = 0; g < groups; g++) {
      const uint8_t *x = columns + g * column_count * column_bytes;
      for (size_t k = 0; k < kernel_w; k++, x += column_bytes, w += column_bytes) {
        UNROLL for (int i = 0; i < fours; i++)
          sum[i] = _mm512_dpbusd_epi32(sum[i], _mm512_load_si512(x + vector * i), _mm512_load_si512(w + vector * i));
      }
    }
    __m512 v[fours];
    UNROLL for (int i = 0; i < fours; i++) v[i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i]), t->scale[i], t->bias[i]);
    if (is_activated) activate64(v, t->epilogue);
    const __m512i bytes = bytes64(
        quanta16(v[0], high), quanta16(v[1], high), quanta16(v[2], high), quanta16(v[3], high), low);
    if (is_pair) {
      _mm256_mask_storeu_epi8(second, (__mmask32)mask, _mm512_extracti64x4_epi64(bytes, 1));
      _mm256_mask_storeu_epi8(out, (__mmask32)mask, _mm512_castsi512_si256(bytes));
    } else if (mask == ~0ull) {
      _mm512_storeu_si512(out, bytes);
    } else {
      _mm512_mask_storeu_epi8(out, mask, bytes);
    }
  }
}

typedef void results_kernel(
    const task *, size_t groups, size_t kernel_w, const uint8_t *columns, size_t column_count, size_t count,
    uint8_t *out, uint8_t *second, size_t stride);

#define RESULTS(name, is_pair, is_activated, groups_here, kernel_here) \
  VNNI static void name( \
      const task *t, size_t groups, size_t kernel_w, const uint8_t *columns, size_t column_count, size_t count, \
      uint8_t *out, uint8_t *second, size_t stride) { \
    (void)groups, (void)kernel_w; \
    results(t, is_pair, is_activated, groups_here, kernel_here, columns, column_count, count, out, second, stride); \
  }
RESULTS(results_3, 0, 0, 1, 3)
RESULTS(results_3_of_two, 1, 0, 1, 3)
RESULTS(results_any, 0, 0, groups, kernel_w)
RESULTS(results_any_of_two, 1, 0, groups, kernel_w)
RESULTS(results_activated, 0, 1, groups, kernel_w)
RESULTS(results_activated_of_two, 1, 1, groups, kernel_w)

static results_kernel *kernel_for(const ckernels_int8_window *w, const ckernels_int8_epilogue *e, int is_pair) {
  if (e->activation) return is_pair ? results_activated_of_two : results_activated;
  if (w->kernel_h <= fours && w->kernel_w == 3) return is_pair ? results_3_of_two : results_3;
  return is_pair ? results_any_of_two : results_any;
}

/* Sixteen channels a vector come to four of each of four. */
VNNI static void in_lanes(const float *from, __m512 to[fours]) {
  const __m512 a = _mm512_loadu_ps(from), b = _mm512_loadu_ps(from + 16);
  const __m512 c = _mm512_loadu_ps(from + 32), d = _mm512_loadu_ps(from + 48);
  const __m512 ab0 = _mm512_shuffle_f32x4(a, b, 0x44), ab1 = _mm512_shuffle_f32x4(a, b, 0xEE);
  const __m512 cd0 = _mm512_shuffle_f32x4(c, d, 0x44), cd1 = _mm512_shuffle_f32x4(c, d, 0xEE);
  to[0] = _mm512_shuffle_f32x4(ab0, cd0, 0x88);
  to[1] = _mm512_shuffle_f32x4(ab0, cd0, 0xDD);
  to[2] = _mm512_shuffle_f32x4(ab1, cd1, 0x88);
  to[3] = _mm512_shuffle_f32x4(ab1, cd1, 0xDD);
}

/* The first 32 numbers in both halves. */
VNNI static void in_both_lanes(const float *from, __m512 to[fours]) {
  float twice[lanes];
  memcpy(twice, from, half * sizeof(float));
  memcpy(twice + half, from, half * sizeof(float));
  in_lanes(twice, to);
}

/* The four lines from line `first` of the windows of line `oy` on; those that no window has meet weights that are 0. */
static void find_lines(
    const task *t, const uint8_t *in, const uint8_t *outside, size_t oy, size_t first, int which, lines *l) {
  const ckernels_int8_window *w = t->window;
  for (size_t i = 0; i < fours; i++) {
    const long y = (long)(oy * w->stride_h + (first + i) * w->dilation_h) - (long)w->top;
    const int is_inside = first + i < w->kernel_h && y >= 0 && y < (long)w->height;
    l->start[which][i] = is_inside ? in + (size_t)y * w->width * w->stride : outside;
    l->step[which][i] = is_inside ? w->stride : 0;
  }
}

/* The columns under `count` results from column `ox` on, each group of lines behind the other. */
VNNI INLINE void fetch(
    const task *t, const uint8_t *in, const uint8_t *outside, size_t oy, size_t ox, const int is_pair, size_t count,
    uint8_t *columns) {
  const ckernels_int8_window *w = t->window;
  lines beyond;
  for (int i = 0; i < fours; i++) {
    beyond.start[0][i] = beyond.start[1][i] = outside;
    beyond.step[0][i] = beyond.step[1][i] = 0;
  }
  for (size_t g = 0; g < t->groups; g++) {
    lines l;
    find_lines(t, in, outside, oy, g * fours, 0, &l);
    if (is_pair) find_lines(t, in, outside, oy + 1 < w->out_height ? oy + 1 : oy, g * fours, 1, &l);
    for (size_t k = 0; k < count; k++, columns += column_bytes) {
      const long x = (long)(ox * w->stride_w + k * w->dilation_w) - (long)w->left;
      if (x >= 0 && x < (long)w->width) interleave(&l, (size_t)x, is_pair, columns);
      else interleave(&beyond, 0, is_pair, columns);
    }
  }
}

VNNI INLINE void block_of_channels(
    const task *t, const uint8_t *in, const uint8_t *outside, const int is_pair, ckernels_int8_output output) {
  const ckernels_int8_window *w = t->window;
  results_kernel *kernel = kernel_for(w, t->epilogue, is_pair);
  _Alignas(64) uint8_t columns[most_columns * column_bytes];
  /* Windows whose columns are no neighbours share none. */
  const size_t most = w->dilation_w > 1 ? 1 : (most_columns / t->groups - w->kernel_w) / w->stride_w + 1;
  const size_t parts = (w->out_width + most - 1) / most;
  for (size_t oy = 0; oy < w->out_height; oy += is_pair ? 2 : 1) {
    for (size_t ox = 0, left = parts; left > 0; left--) {
      const size_t count = share(w->out_width - ox, left), column_count = (count - 1) * w->stride_w + w->kernel_w;
      fetch(t, in, outside, oy, ox, is_pair, column_count, columns);
      uint8_t *out = output.bytes + (oy * w->out_width + ox) * output.stride;
      uint8_t *second = oy + 1 < w->out_height ? out + w->out_width * output.stride : out;
      kernel(t, t->groups, w->kernel_w, columns, column_count, count, out, second, output.stride);
      ox += count;
    }
  }
}

VNNI void int8_vnni_depthwise(
    const ckernels_int8_window *w, const uint8_t *in, const int8_t *weights, const ckernels_int8_epilogue *epilogue,
    ckernels_int8_output output) {
  task t = {.window = w, .weights = weights, .groups = groups_of(w->kernel_h), .epilogue = epilogue};
  for (size_t c = 0; c < w->channels; c += lanes, t.weights += t.groups * w->kernel_w * column_bytes) {
    t.channels = w->channels - c;
    const ckernels_int8_output o = moved(output, 0, c);
    if (t.channels > half) {
      in_lanes(epilogue->scale + c, t.scale);
      in_lanes(epilogue->bias + c, t.bias);
      block_of_channels(&t, in + c, w->outside + c, 0, o);
    } else {
      in_both_lanes(epilogue->scale + c, t.scale);
      in_both_lanes(epilogue->bias + c, t.bias);
      block_of_channels(&t, in + c, w->outside + c, 1, o);
    }
  }
}
#endif
