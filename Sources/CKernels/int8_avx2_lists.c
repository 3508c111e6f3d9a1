#include "int8_avx2_lists.h"
#include <string.h>

#if defined(__x86_64__)
/* Sixteenths of a vector's fours up to which halving the doubtful ones costs less than widening them; sums of weights that
   255 times fit 16 bits; narrow fours among which a partner is looked for. */
enum { halved_of_16 = 5, most_sum = 128, most_waiting = 32 };

/* Weights from row `k` on of a vector of columns, [8][4]; missing ones are zero. */
static void gather(
    const int8_t *weights, size_t columns, size_t depth, size_t first, size_t k, int8_t out[four]) {
  memset(out, 0, four);
  for (size_t c = first; c < lesser(first + vector, columns); c++) memcpy(out + 4 * (c - first), weights + c * depth + k, 4);
}

/* What the weights of each sign add up to in every pair that one instruction multiplies and adds. */
typedef struct {
  __m256i above, below;
} reach;

AVX2 INLINE reach reach_of(const int8_t w[four]) {
  const __m256i ones = _mm256_set1_epi8(1), zero = _mm256_setzero_si256();
  const __m256i weights = _mm256_loadu_si256((const __m256i *)w);
  return (reach){
      _mm256_maddubs_epi16(ones, _mm256_max_epi8(weights, zero)),
      _mm256_maddubs_epi16(ones, _mm256_min_epi8(weights, zero))};
}

AVX2 INLINE reach together(reach a, reach b) {
  return (reach){_mm256_add_epi16(a.above, b.above), _mm256_add_epi16(a.below, b.below)};
}

/* Whether 255 times the weights of one sign adds up to more than 16 bits in any pair. */
AVX2 INLINE int may_saturate(reach r) {
  const __m256i most = _mm256_set1_epi16(most_sum), least = _mm256_set1_epi16(-most_sum);
  const __m256i passed = _mm256_or_si256(_mm256_cmpgt_epi16(r.above, most), _mm256_cmpgt_epi16(least, r.below));
  return _mm256_movemask_epi8(passed) != 0;
}

/* The lists of the vector of columns from `first` on, to be written from byte `end` on; pairs are found later. */
AVX2 static lists measured(const int8_t *weights, size_t columns, size_t depth, size_t first, size_t end) {
  int8_t w[four];
  size_t doubtful = 0;
  for (size_t k = 0; k < depth; k += 4) {
    gather(weights, columns, depth, first, k, w);
    doubtful += may_saturate(reach_of(w)) != 0;
  }
  const size_t fours = depth / 4;
  const int is_halved = 16 * doubtful <= halved_of_16 * fours;
  lists l = {.narrow = is_halved ? fours + doubtful : fours - doubtful, .wide = is_halved ? 0 : doubtful};
  l.rows = end;
  l.weights = l.rows + ((l.narrow + l.wide) * sizeof(uint32_t) + 31) / 32 * 32;
  return l;
}

typedef struct {
  reach reach;
  int8_t weights[four];
  uint32_t row;
} narrow_four;

/* The narrow list while it is written: pairs from its front on, what finds no partner from its end on. */
typedef struct {
  narrow_four waiting[most_waiting];
  size_t waiting_count, paired;
  uint32_t *row, *last_row;
  int8_t *weights, *last_weights;
} narrow_list;

static void put_paired(narrow_list *list, const narrow_four *f) {
  memcpy(list->weights, f->weights, four);
  list->weights += four;
  *list->row++ = f->row;
  list->paired++;
}

static void put_single(narrow_list *list, const narrow_four *f) {
  list->last_weights -= four;
  memcpy(list->last_weights, f->weights, four);
  *--list->last_row = f->row;
}

AVX2 static void add_narrow(narrow_list *list, const int8_t weights[four], size_t row) {
  narrow_four f = {.reach = reach_of(weights), .row = (uint32_t)row};
  memcpy(f.weights, weights, four);
  for (size_t i = 0; i < list->waiting_count; i++) {
    if (may_saturate(together(list->waiting[i].reach, f.reach))) continue;
    put_paired(list, &list->waiting[i]);
    put_paired(list, &f);
    list->waiting[i] = list->waiting[--list->waiting_count];
    return;
  }
  if (list->waiting_count == most_waiting) put_single(list, &list->waiting[--list->waiting_count]);
  list->waiting[list->waiting_count++] = f;
}

AVX2 static void write_lists(
    const int8_t *weights, size_t columns, size_t depth, size_t first, lists *l, int8_t *packed) {
  uint32_t *row = (uint32_t *)(packed + l->rows), *wide_row = row + l->narrow;
  int8_t *narrow = packed + l->weights;
  int16_t *wide = (int16_t *)(narrow + four * l->narrow);
  narrow_list list;
  list.waiting_count = list.paired = 0;
  list.row = row;
  list.last_row = wide_row;
  list.weights = narrow;
  list.last_weights = narrow + four * l->narrow;
  for (size_t k = 0; k < depth; k += 4) {
    int8_t w[four], half[four];
    gather(weights, columns, depth, first, k, w);
    const int is_doubtful = may_saturate(reach_of(w));
    if (is_doubtful && l->wide) {
      /* [2 pairs of rows][8][2] */
      for (size_t i = 0; i < four; i++) wide[i % 4 / 2 * 2 * vector + i / 4 * 2 + i % 2] = w[i];
      wide += four;
      *wide_row++ = (uint32_t)k;
      continue;
    }
    if (is_doubtful) {
      for (size_t i = 0; i < four; i++) {
        half[i] = (int8_t)(w[i] / 2);
        w[i] = (int8_t)(w[i] - half[i]);
      }
      add_narrow(&list, half, k);
    }
    add_narrow(&list, w, k);
  }
  while (list.waiting_count > 0) put_single(&list, &list.waiting[--list.waiting_count]);
  l->paired = list.paired;
}

AVX2 size_t int8_avx2_pack(const int8_t *weights, size_t columns, size_t depth, int8_t *packed) {
  lists *head = (lists *)packed;
  const size_t vectors = (columns + vector - 1) / vector;
  size_t end = (vectors * sizeof(lists) + 31) / 32 * 32;
  for (size_t first = 0; first < columns; first += vector) {
    lists l = measured(weights, columns, depth, first, end);
    end = l.weights + four * (l.narrow + 2 * l.wide);
    if (!packed) continue;
    write_lists(weights, columns, depth, first, &l, packed);
    *head++ = l;
  }
  return end;
}
#endif
