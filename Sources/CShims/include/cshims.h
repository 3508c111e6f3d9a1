#pragma once
#include <stddef.h>
#include <stdint.h>

/// GNU-only and feature-guarded calls that the Glibc module does not show to Swift.

/// Tells the processor that this thread spins (`pause`, `yield`).
static inline void lookout_relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Names the calling thread, at most 15 bytes (pthread_setname_np).
void lookout_name_thread(const char *_Nonnull name);

/// Renames without ever replacing a file: 0, or -1 with errno, EEXIST if the target is there (renameat2, RENAME_NOREPLACE).
int lookout_rename_without_replacing(const char *_Nonnull from, const char *_Nonnull to);

/// Milliseconds-precise statx-free access to the nanosecond times of `struct stat`.
typedef struct {
  uint64_t device, inode;
  int64_t size, mtime_ns, ctime_ns;
  uint32_t mode, uid;
} lookout_status;

/// `fstatat` on AT_FDCWD; follows a final symbolic link only if asked. 0, or -1 with errno.
int lookout_status_of(const char *_Nonnull path, int follow_links, lookout_status *_Nonnull out);

/// `fstat`. 0, or -1 with errno.
int lookout_status_of_fd(int fd, lookout_status *_Nonnull out);

/// An event descriptor, close-on-exec and non-blocking (eventfd(2)); -1 with errno.
int lookout_eventfd(void);

/// An epoll instance, close-on-exec (epoll_create1(2), which the Glibc module lacks); -1 with errno.
int lookout_epoll(void);

/// Asks an epoll instance to tell `key` when a descriptor is readable: once, or as long as it is (epoll_ctl(2), EPOLLONESHOT).
///
/// Another call for the same descriptor asks anew. 0, or -1 with errno.
int lookout_epoll_ask(int epoll, int descriptor, uint64_t key, int once);

/// Waits for what was asked for; gives at most 64 keys and returns how many (epoll_wait(2)); -1 with errno.
int lookout_epoll_wait(int epoll, uint64_t keys[_Nonnull 64], int milliseconds);

/// A file in memory, close-on-exec (memfd_create(2)); -1 with errno.
int lookout_memfd(const char *_Nonnull name);

/// The file system's magic number (statfs(2)); -1 with errno.
int64_t lookout_file_system_magic(const char *_Nonnull path);

/// Bytes that the C heap has given out and not got back (`mallinfo2`, which the Glibc module lacks).
uint64_t lookout_heap_bytes_in_use(void);

/// Fills memory with the kernel's random bytes (`getrandom`, which the Glibc module lacks).
void lookout_random(void *_Nonnull bytes, size_t count);

/// Gives memory that the C heap holds and does not use back to the kernel (`malloc_trim`, which the Glibc module lacks).
void lookout_heap_trim(void);

/// Bounds the arenas of the C heap among which threads are spread (`mallopt`, which the Glibc module lacks); before the first
/// thread.
void lookout_heap_arenas(int count);

/// Who is at the other end of a Unix socket (SO_PEERCRED, SO_PEERGROUPS); `groups` gets at most `capacity` supplementary
/// groups and `count` how many there are of them. 0, or -1 with errno.
int lookout_peer(int fd, int32_t *_Nonnull pid, uint32_t *_Nonnull uid, uint32_t *_Nonnull gid,
                 uint32_t *_Nonnull groups, size_t capacity, size_t *_Nonnull count);
