#define _GNU_SOURCE
#include "cshims.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

void lookout_name_thread(const char *name) {
  char kept[16];
  strncpy(kept, name, sizeof kept - 1);
  kept[sizeof kept - 1] = 0;
  pthread_setname_np(pthread_self(), kept);
}

int lookout_rename_without_replacing(const char *from, const char *to) {
  return renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
}

static void copy_status(const struct stat *from, lookout_status *out) {
  *out = (lookout_status){
      .device = from->st_dev,
      .inode = from->st_ino,
      .size = from->st_size,
      .mtime_ns = from->st_mtim.tv_sec * 1000000000LL + from->st_mtim.tv_nsec,
      .ctime_ns = from->st_ctim.tv_sec * 1000000000LL + from->st_ctim.tv_nsec,
      .mode = from->st_mode,
      .uid = from->st_uid,
  };
}

int lookout_status_of(const char *path, int follow_links, lookout_status *out) {
  struct stat status;
  if (fstatat(AT_FDCWD, path, &status, follow_links ? 0 : AT_SYMLINK_NOFOLLOW) != 0) return -1;
  copy_status(&status, out);
  return 0;
}

int lookout_status_of_fd(int fd, lookout_status *out) {
  struct stat status;
  if (fstat(fd, &status) != 0) return -1;
  copy_status(&status, out);
  return 0;
}

int lookout_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int lookout_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }

int lookout_epoll_ask(int epoll, int descriptor, uint64_t key, int once) {
  struct epoll_event event = {.events = EPOLLIN | (once ? EPOLLONESHOT : 0), .data.u64 = key};
  if (epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
  return errno == ENOENT ? epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) : -1;
}

int lookout_epoll_wait(int epoll, uint64_t keys[64], int milliseconds) {
  struct epoll_event events[64];
  const int count = epoll_wait(epoll, events, 64, milliseconds);
  for (int i = 0; i < count; ++i) keys[i] = events[i].data.u64;
  return count;
}

int lookout_memfd(const char *name) { return memfd_create(name, MFD_CLOEXEC); }

int64_t lookout_file_system_magic(const char *path) {
  struct statfs status;
  return statfs(path, &status) == 0 ? (int64_t)(uint32_t)status.f_type : -1;
}

uint64_t lookout_heap_bytes_in_use(void) { return mallinfo2().uordblks; }

void lookout_random(void *bytes, size_t count) {
  for (size_t done = 0; done < count;) {
    const ssize_t got = getrandom((char *)bytes + done, count - done, 0);
    if (got > 0) done += (size_t)got;
  }
}

void lookout_heap_trim(void) { malloc_trim(0); }

void lookout_heap_arenas(int count) { mallopt(M_ARENA_MAX, count); }

int lookout_peer(int fd, int32_t *pid, uint32_t *uid, uint32_t *gid, uint32_t *groups, size_t capacity, size_t *count) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -1;
  *pid = peer.pid;
  *uid = peer.uid;
  *gid = peer.gid;
  *count = 0;
#ifdef SO_PEERGROUPS
  length = (socklen_t)(capacity * sizeof *groups);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &length) == 0) *count = length / sizeof *groups;
#endif
  return 0;
}
