/* One set of kernels: each kernels_*.c names an instruction set and includes this text. */
#include "ckernels.h"
#include <math.h>
#include <string.h>
#if WIDTH >= 8
#include <immintrin.h>
#endif
#include "vector.inc.h"
#include "product.inc.h"
#include "winograd.inc.h"
#include "rows.inc.h"
#include "window.inc.h"
#include "depthwise.inc.h"

const ckernels_table TABLE = {
    .panel_columns = panel,
    .multiply = multiply,
    .pack = pack,
    .scale_panels = scale_panels,
    .winograd_weights = winograd_weights,
    .winograd_input = winograd_input,
    .winograd_output = winograd_output,
    .depthwise = depthwise,
    .rows = rows,
    .multiply_rows = multiply_rows,
    .sum_rows = sum_rows,
    .maximum = maximum,
    .mean = mean,
    .softmax = softmax,
    .local_response = local_response,
};
