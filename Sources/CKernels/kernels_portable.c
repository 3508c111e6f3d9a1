/* Four floats at a time: what any x86-64 or arm64 has. */
#define TABLE ckernels_portable_table
#define WIDTH 4
#define TILE_ROWS 6
#include "kernels.inc.h"
