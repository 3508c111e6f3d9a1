/* Entropy decoding of JPEG pictures of one scan of Huffman codes in order (ISO/IEC 10918-1, F.2.2), in libjpeg's stead.
 *
 * libjpeg looks up a code of eight bits, then takes the bits of its value. Here a look-up of ten bits gives as many as
 * two coefficients with their values and the end of the block. Every sample is what libjpeg makes of the same bytes, of
 * damaged ones too; see docs/decisions/0034-own-entropy-decoding.md. */

#include "jpeg_entropy.h"

#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpegint.h>

#define INLINE static inline __attribute__((always_inline))
#define LIKELY(x) __builtin_expect(!!(x), 1)

enum {
  LOOK = 10,           /* bits that a look-up sees */
  LONGEST_CODE = 16,
  MOST_COMPONENTS = 4, /* of a scan */
  MOST_BLOCKS = 10     /* of an MCU */
};

/* A step is what the next LOOK bits of a block hold.
 *
 * bits 0-5    how many bits they are
 * bits 6-9    places that are passed before the first coefficient
 * bits 10-15  the second coefficient, signed; 0 where there is none
 * bits 16-23  the first coefficient, signed
 * bits 24-31  places passed in all, and ENDS more where the block ends
 *
 * Where they hold no whole coefficient: UNKNOWN in the uppermost byte, the symbol of the code in bits 16-23 and the
 * code's length in bits 0-5, which is 0 if the code alone is longer than LOOK.
 *
 * Of the place that a step leads to, the lower seven bits are at most 64 if the step holds. They are more where the
 * block was full before the step's last code, which belongs to the next block then, and where nothing is known: a
 * block's first step begins at place 0, every other one at 1 or above. */
enum { ENDS = 129, UNKNOWN_FIRST = 65, UNKNOWN_LATER = 64, UNKNOWN_BIT = 1 << 30 };

typedef struct {
  uint32_t steps[1 << LOOK];
  int32_t last_code[LONGEST_CODE + 2]; /* of each length, -1 if there is none; the one behind ends every search */
  int32_t first_symbol[LONGEST_CODE + 1]; /* its place less the length's first code */
  uint8_t symbols[256];
  int is_first; /* read at a block's begin: its symbols are of a DC coefficient */
} code_table;

/* The tables of a component and what they were made of. */
typedef struct {
  JHUFF_TBL first_codes, later_codes;
  int is_made;
  code_table first, later;
} table_pair;

typedef struct {
  uint64_t bits; /* the next one uppermost, zeros behind the last */
  int count;     /* below 0 once bits were taken that the scan does not have */
  const uint8_t *next;
  const uint8_t *last_clear; /* up to here eight bytes from `next` on hold no 0xFF */
} bit_reader;

struct ic_jpeg_workspace {
  struct jpeg_entropy_decoder stands_in; /* must be first: the decoder's `entropy` points to it */
  bit_reader reader;
  const uint8_t *end;
  uint32_t until_restart;
  int next_restart;
  uint32_t predictions[MOST_COMPONENTS];
  int blocks;
  int components[MOST_BLOCKS];
  const table_pair *tables[MOST_BLOCKS];
  JBLOCK unwanted[MOST_BLOCKS];
  JBLOCKROW unwanted_rows[MOST_BLOCKS];
  table_pair pairs[MOST_COMPONENTS];
};

/* Where the coefficient of a place goes, counted from 1; places behind the block lead to its last coefficient, as
 * libjpeg has it. */
static const uint8_t from_zigzag[1 + 64 + 15] = {
    0,  0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38,
    31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63};

/* A single symbol at the head of LOOK bits. */
typedef struct {
  int16_t value;
  uint8_t code_bits, bits; /* without and with the value's; `bits` is 0 if they are more than LOOK */
  uint8_t places;          /* 0 where the symbol ends the block */
  uint8_t symbol;
} head;

INLINE int signed_value(uint32_t bits, int size) {
  return bits < 1u << (size - 1) ? (int)bits + 1 - (1 << size) : (int)bits;
}

/* Fills the code's searching tables and `heads`. Returns 0 if the codes do not fit their lengths. */
static int read_codes(code_table *table, head *heads, const JHUFF_TBL *codes) {
  memset(heads, 0, sizeof(head) << LOOK);
  memcpy(table->symbols, codes->huffval, sizeof table->symbols);
  int32_t code = 0;
  int index = 0;
  for (int length = 1; length <= LONGEST_CODE; length++, code <<= 1) {
    const int count = codes->bits[length];
    if (code + count > 1 << length || index + count > 256) return 0;
    table->first_symbol[length] = index - code;
    for (int i = 0; i < count; i++, index++, code++) {
      if (length > LOOK) continue;
      const uint8_t symbol = codes->huffval[index];
      const int size = table->is_first ? symbol : symbol & 15, zeros = table->is_first ? 0 : symbol >> 4;
      const int rest = LOOK - length - size;
      const int ends = size == 0 && !table->is_first && zeros != 15;
      head *const at = heads + ((size_t)code << (LOOK - length));
      for (uint32_t j = 0; j < 1u << (LOOK - length); j++)
        at[j] = (head){.value = (int16_t)(size > 0 && rest >= 0 ? signed_value(j >> rest, size) : 0),
                       .code_bits = (uint8_t)length,
                       .bits = (uint8_t)(rest >= 0 ? length + size : 0),
                       .places = (uint8_t)(ends ? 0 : zeros + 1),
                       .symbol = symbol};
    }
    table->last_code[length] = count > 0 ? code - 1 : -1;
  }
  table->last_code[LONGEST_CODE + 1] = INT32_MAX;
  return 1;
}

static uint32_t step(uint32_t bits, uint32_t zeros, int first, int second, uint32_t places) {
  return places << 24 | ((uint32_t)first & 0xff) << 16 | ((uint32_t)second & 0x3f) << 10 | zeros << 6 | bits;
}

/* Joins the symbol at the head of each index with the one behind it. */
static void make_steps(code_table *table, const head *heads, const head *later_heads) {
  for (uint32_t i = 0; i < 1u << LOOK; i++) {
    const head a = heads[i];
    uint32_t *const to = table->steps + i;
    if (a.bits == 0 || a.value < -127 || a.value > 127) {
      *to = step(a.code_bits, 0, a.symbol, 0, table->is_first ? UNKNOWN_FIRST : UNKNOWN_LATER);
      continue;
    }
    if (a.places == 0) {
      *to = step(a.bits, 0, 0, 0, ENDS);
      continue;
    }
    const head b = later_heads[(i << a.bits) & ((1u << LOOK) - 1)];
    const uint32_t zeros = a.places - 1u;
    if (b.bits == 0 || a.bits + b.bits > LOOK || b.value < -31 || b.value > 31)
      *to = step(a.bits, zeros, a.value, 0, a.places);
    else if (b.places == 0)
      *to = step(a.bits + b.bits, zeros, a.value, 0, a.places + ENDS);
    else
      *to = step(a.bits + b.bits, zeros, a.value, b.value, a.places + b.places);
  }
}

static int same_codes(const JHUFF_TBL *a, const JHUFF_TBL *b) {
  return memcmp(a->bits, b->bits, sizeof a->bits) == 0 && memcmp(a->huffval, b->huffval, sizeof a->huffval) == 0;
}

/* Makes a component's tables unless the last picture's will do. */
static int prepare(table_pair *pair, const JHUFF_TBL *first, const JHUFF_TBL *later) {
  if (pair->is_made && same_codes(&pair->first_codes, first) && same_codes(&pair->later_codes, later)) return 1;
  head first_heads[1 << LOOK], later_heads[1 << LOOK];
  pair->first.is_first = 1;
  pair->later.is_first = 0;
  pair->is_made = read_codes(&pair->first, first_heads, first) && read_codes(&pair->later, later_heads, later);
  if (!pair->is_made) return 0;
  pair->first_codes = *first;
  pair->later_codes = *later;
  make_steps(&pair->first, first_heads, later_heads);
  make_steps(&pair->later, later_heads, later_heads);
  return 1;
}

static void warn(j_decompress_ptr decoder, int code) {
  decoder->err->msg_code = code;
  decoder->err->emit_message((j_common_ptr)decoder, -1);
}

/* The byte that `next` passes; leaves, as the source does, where there is none. */
static uint8_t next_byte(ic_jpeg_workspace *work, j_decompress_ptr decoder) {
  if (work->reader.next == work->end) {
    decoder->src->bytes_in_buffer = 0;
    decoder->src->fill_input_buffer(decoder);
  }
  return *work->reader.next++;
}

static const uint8_t *last_clear(const uint8_t *from, const uint8_t *end) {
  const uint8_t *marker = memchr(from, 0xff, (size_t)(end - from));
  return (marker ? marker : end) - 8;
}

/* Fills the reader byte by byte, past stuffed zeros and up to a marker, which the decoder is told. */
static __attribute__((noinline)) void refill_slowly(ic_jpeg_workspace *work, j_decompress_ptr decoder) {
  bit_reader *const reader = &work->reader;
  while (reader->count <= 56 && decoder->unread_marker == 0) {
    const uint64_t byte = next_byte(work, decoder);
    if (byte == 0xff) {
      uint8_t code;
      do code = next_byte(work, decoder);
      while (code == 0xff);
      if (code != 0) {
        decoder->unread_marker = code;
        reader->last_clear = reader->next - 8;
        return;
      }
      reader->last_clear = last_clear(reader->next, work->end);
    }
    reader->bits |= byte << (56 - reader->count);
    reader->count += 8;
  }
}

/* Leaves at least 32 bits to be taken, zeros if the scan has no more. `reader` is a copy that registers hold. */
INLINE void refill(bit_reader *reader, ic_jpeg_workspace *work, j_decompress_ptr decoder) {
  if (LIKELY(reader->next <= reader->last_clear)) {
    uint64_t bytes;
    memcpy(&bytes, reader->next, sizeof bytes);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    bytes = __builtin_bswap64(bytes);
#endif
    reader->bits |= bytes >> reader->count;
    reader->next += (63 - reader->count) >> 3;
    reader->count |= 56;
  } else if (reader->count < 32) {
    work->reader = *reader;
    refill_slowly(work, decoder);
    *reader = work->reader;
  }
}

INLINE void drop(bit_reader *reader, uint32_t count) {
  reader->bits <<= count;
  reader->count -= (int)count;
}

/* Reads the single symbol that `found`, a step which does not hold, may know already, puts its coefficient into the
 * block and returns the place that it leads to. */
INLINE uint32_t single_step(bit_reader *reader, const code_table *table, uint32_t found, uint32_t place,
                            j_decompress_ptr decoder, JCOEF *block) {
  uint32_t length = found & UNKNOWN_BIT ? found & 63 : 0, symbol = found >> 16 & 0xff;
  if (length == 0) {
    do length++;
    while ((int32_t)(reader->bits >> (64 - length)) > table->last_code[length]);
    if (length <= LONGEST_CODE) {
      symbol = table->symbols[((int32_t)(reader->bits >> (64 - length)) + table->first_symbol[length]) & 0xff];
    } else {
      warn(decoder, JWRN_HUFF_BAD_CODE);
      symbol = 0;
    }
  }
  drop(reader, length);
  const int size = table->is_first ? (int)symbol : (int)symbol & 15;
  const uint32_t zeros = table->is_first ? 0 : symbol >> 4;
  if (size == 0 && !table->is_first) return zeros == 15 ? place + 16 : 64;
  int value = 0;
  if (size > 0) {
    value = signed_value((uint32_t)(reader->bits >> (64 - size)), size);
    drop(reader, (uint32_t)size);
  }
  place += zeros + 1;
  block[from_zigzag[place]] = (JCOEF)value;
  return place;
}

static void read_blocks(ic_jpeg_workspace *work, j_decompress_ptr decoder, JBLOCKROW *rows) {
  bit_reader reader = work->reader;
  for (int b = 0; b < work->blocks; b++) {
    const code_table *table = &work->tables[b]->first;
    const code_table *const later = &work->tables[b]->later;
    JCOEF *const block = *rows[b];
    uint32_t place = 0;
    do {
      refill(&reader, work, decoder);
      const uint32_t found = table->steps[reader.bits >> (64 - LOOK)];
      const uint32_t to = place + (found >> 24);
      if (LIKELY((to & 127) <= 64)) {
        /* The second first: with one coefficient it is a zero, at that one's place or the next. */
        block[from_zigzag[to & 127]] = (JCOEF)((int16_t)found >> 10);
        block[from_zigzag[place + 1 + (found >> 6 & 15)]] = (JCOEF)(int8_t)(found >> 16);
        drop(&reader, found & 63);
        place = to;
      } else {
        place = single_step(&reader, table, found, place, decoder, block);
      }
      table = later;
    } while (place < 64);
    const int component = work->components[b];
    block[0] = (JCOEF)(work->predictions[component] += (uint32_t)block[0]);
  }
  work->reader = reader;
}

/* Begins a new interval behind the next restart marker, or where the library's resynchronisation says. */
static void restart(ic_jpeg_workspace *work, j_decompress_ptr decoder) {
  while (decoder->unread_marker == 0) {
    while (next_byte(work, decoder) != 0xff) continue;
    uint8_t code;
    do code = next_byte(work, decoder);
    while (code == 0xff);
    decoder->unread_marker = code;
  }
  decoder->src->next_input_byte = work->reader.next;
  decoder->src->bytes_in_buffer = (size_t)(work->end - work->reader.next);
  if (decoder->unread_marker == JPEG_RST0 + work->next_restart)
    decoder->unread_marker = 0;
  else
    decoder->src->resync_to_restart(decoder, work->next_restart);
  work->next_restart = (work->next_restart + 1) & 7;
  const uint8_t *const next = decoder->src->next_input_byte;
  const int is_open = decoder->unread_marker == 0;
  work->reader = (bit_reader){.next = next, .last_clear = is_open ? last_clear(next, work->end) : next - 8};
  memset(work->predictions, 0, sizeof work->predictions);
  work->until_restart = decoder->restart_interval;
  if (is_open) work->stands_in.insufficient_data = FALSE;
}

static boolean decode_mcu(j_decompress_ptr decoder, JBLOCKROW *rows) {
  ic_jpeg_workspace *const work = (ic_jpeg_workspace *)decoder->entropy;
  if (decoder->restart_interval > 0 && work->until_restart == 0) restart(work, decoder);
  work->until_restart--;
  if (work->stands_in.insufficient_data) return TRUE;
  read_blocks(work, decoder, rows ? rows : work->unwanted_rows);
  if (work->reader.count < 0) {
    warn(decoder, JWRN_HIT_MARKER);
    work->stands_in.insufficient_data = TRUE;
  }
  return TRUE;
}

static void start_again(j_decompress_ptr decoder) { ERREXIT1(decoder, JERR_BAD_STATE, decoder->global_state); }

int jpeg_entropy_begin(j_decompress_ptr decoder, ic_jpeg_workspace *work) {
  if (decoder->progressive_mode || decoder->arith_code || jpeg_has_multiple_scans(decoder) ||
      decoder->comps_in_scan > MOST_COMPONENTS || decoder->blocks_in_MCU > MOST_BLOCKS)
    return 0;
  const table_pair *pairs[MOST_COMPONENTS];
  for (int c = 0; c < decoder->comps_in_scan; c++) {
    const jpeg_component_info *const component = decoder->cur_comp_info[c];
    int same = 0;
    while (same < c && (decoder->cur_comp_info[same]->dc_tbl_no != component->dc_tbl_no ||
                        decoder->cur_comp_info[same]->ac_tbl_no != component->ac_tbl_no))
      same++;
    pairs[c] = same < c ? pairs[same] : &work->pairs[c];
    if (same == c && !prepare(&work->pairs[c], decoder->dc_huff_tbl_ptrs[component->dc_tbl_no],
                              decoder->ac_huff_tbl_ptrs[component->ac_tbl_no]))
      return 0;
  }
  work->blocks = decoder->blocks_in_MCU;
  for (int b = 0; b < work->blocks; b++) {
    work->components[b] = decoder->MCU_membership[b];
    work->tables[b] = pairs[work->components[b]];
    work->unwanted_rows[b] = &work->unwanted[b];
  }
  const uint8_t *const next = decoder->src->next_input_byte;
  work->end = next + decoder->src->bytes_in_buffer;
  work->reader = (bit_reader){.next = next, .last_clear = last_clear(next, work->end)};
  memset(work->predictions, 0, sizeof work->predictions);
  work->until_restart = decoder->restart_interval;
  work->next_restart = 0;
  work->stands_in = (struct jpeg_entropy_decoder){.start_pass = start_again, .decode_mcu = decode_mcu};
  decoder->entropy = &work->stands_in;
  return 1;
}

INLINE int is_restart(int marker) { return marker >= JPEG_RST0 && marker < JPEG_RST0 + 8; }

int jpeg_entropy_ends(j_decompress_ptr decoder, const ic_jpeg_workspace *work) {
  if (decoder->unread_marker != 0 && !is_restart(decoder->unread_marker)) return 1;
  const uint8_t *at = work->reader.next;
  while (work->end - at >= 2) {
    at = memchr(at, 0xff, (size_t)(work->end - at) - 1);
    if (!at) return 0;
    at++;
    if (*at != 0 && *at != 0xff && !is_restart(*at)) return 1;
  }
  return 0;
}

ic_jpeg_workspace *ic_jpeg_workspace_make(void) { return calloc(1, sizeof(ic_jpeg_workspace)); }

void ic_jpeg_workspace_free(ic_jpeg_workspace *work) { free(work); }
