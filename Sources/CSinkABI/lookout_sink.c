#include "lookout_sink.h"
