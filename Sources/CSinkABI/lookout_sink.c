/* Compiles the contract's static asserts as C; the module carries no code. */
#include "lookout_sink.h"
