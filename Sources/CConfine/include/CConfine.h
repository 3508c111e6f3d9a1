#pragma once
#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

/// System calls without a wrapper in the C library, by which a process gives up rights for good. 0, or -1 with errno.

/// The version of Landlock that this kernel offers; 0 if it has none or it is switched off (landlock_create_ruleset(2)).
int lookout_landlock_version(void);

/// A rule set that forbids these rights wherever no rule allows them; a descriptor. `version` decides how much of it is told.
int lookout_landlock_create(int version, uint64_t file_rights, uint64_t network_rights, uint64_t scopes);

/// Allows rights below an open file or folder (landlock_add_rule(2)).
int lookout_landlock_allow(int rules, uint64_t file_rights, int parent);

/// Puts the calling thread, and what it starts from now on, under the rules (landlock_restrict_self(2)).
int lookout_landlock_enter(int rules);

/// Gives up every way to gain rights by executing a file (PR_SET_NO_NEW_PRIVS).
int lookout_no_new_privileges(void);

/// Puts all threads of the process behind a filter of system calls (seccomp(2), SECCOMP_FILTER_FLAG_TSYNC).
int lookout_filter_system_calls(const struct sock_filter *_Nonnull program, size_t count);
