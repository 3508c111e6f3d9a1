#define _GNU_SOURCE
#include "CConfine.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The numbers are the same on every architecture; headers older than the kernel may lack them. */
enum { landlock_create_ruleset = 444, landlock_add_rule = 445, landlock_restrict_self = 446 };

int lookout_landlock_version(void) {
  const long version = syscall(landlock_create_ruleset, NULL, 0, 1);
  return version > 0 ? (int)version : 0;
}

int lookout_landlock_create(int version, uint64_t file_rights, uint64_t network_rights, uint64_t scopes) {
  const uint64_t rules[] = {file_rights, network_rights, scopes};
  const size_t told = version < 4 ? 1 : version < 6 ? 2 : 3;
  return (int)syscall(landlock_create_ruleset, rules, told * sizeof rules[0], 0);
}

int lookout_landlock_allow(int rules, uint64_t file_rights, int parent) {
  const struct {
    uint64_t rights;
    int32_t parent;
  } __attribute__((packed)) rule = {file_rights, parent};
  return (int)syscall(landlock_add_rule, rules, 1, &rule, 0);
}

int lookout_landlock_enter(int rules) { return (int)syscall(landlock_restrict_self, rules, 0); }

int lookout_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

int lookout_filter_system_calls(const struct sock_filter *program, size_t count) {
  const struct sock_fprog filter = {.len = (unsigned short)count, .filter = (struct sock_filter *)program};
  const long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
  /* Above 0 it is the thread that cannot follow. */
  if (result > 0) errno = ESRCH;
  return result == 0 ? 0 : -1;
}
