#pragma once
#include <stdint.h>

/// Makes a fatal signal (SEGV, BUS, ILL, FPE, ABRT, TRAP, SYS) set *mark to 1 before the process dies of it.
///
/// `mark` must stay valid for the life of the process; it lies in a shared mapping so that the next run can read it.
/// In C because a signal handler may run no Swift: allocation and reference counting are not async-signal-safe.
int lookout_install_crash_mark(volatile uint8_t *_Nonnull mark);
