#include "crash_mark.h"
#include <signal.h>
#include <stddef.h>

static volatile uint8_t *crash_mark;

static void mark_and_die(int signal_number) {
  *crash_mark = 1;
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

int lookout_install_crash_mark(volatile uint8_t *mark) {
  static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
  crash_mark = mark;
  struct sigaction action = {.sa_handler = mark_and_die, .sa_flags = SA_NODEFER | SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    if (sigaction(fatal[i], &action, NULL) != 0) return -1;
  }
  return 0;
}
