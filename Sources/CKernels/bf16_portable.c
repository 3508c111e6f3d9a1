/* In plain floats, for the proof of the others. */
#define TABLE ckernels_bf16_portable_table
#define WIDTH 4
#define TILE_ROWS 4
#include "bf16_product.inc.h"
#include "bf16_tiles.inc.h"
