#pragma once
/// A sink plugin that breaks every rule of the contract, one at a time; what it does follows from its file's name.
#include "lookout_sink.h"
