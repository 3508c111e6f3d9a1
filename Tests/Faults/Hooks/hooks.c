// Preloaded into lookoutd and its sink hosts by the fault suite: counts the durable steps of a process, and at the one that
// the suite names it kills the process, fails the call or delays it. Also moves the wall clock and plays the poison.
#define _GNU_SOURCE
#include "faults.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <jpeglib.h>

static faults_control *control;

__attribute__((constructor)) static void map_control(void) {
  const char *path = getenv("LOOKOUT_FAULTS_CONTROL");
  if (!path) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *page = mmap(NULL, sizeof(faults_control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (page != MAP_FAILED) control = page;
}

#define NEXT(name) ((__typeof__(&name))next(#name))

static void *next(const char *name) { return dlsym(RTLD_NEXT, name); }

static void die(void) {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

/// The action for this call: FAULTS_COUNT unless it is to suffer.
static uint32_t action_for(const char *path) {
  if (!strstr(path, control->path)) return FAULTS_COUNT;
  uint64_t number = __atomic_add_fetch(&control->matched, 1, __ATOMIC_RELAXED);
  if (number < control->first || number > control->last) return FAULTS_COUNT;
  if (control->action != FAULTS_COUNT) __atomic_add_fetch(&control->struck, 1, __ATOMIC_RELAXED);
  if (control->action == FAULTS_DELAY) {
    struct timespec late = {control->delay_ms / 1000, control->delay_ms % 1000 * 1000000L};
    syscall(SYS_nanosleep, &late, NULL);
    return FAULTS_COUNT;
  }
  return control->action;
}

static int concerns(uint32_t call) {
  return control && __atomic_load_n(&control->armed, __ATOMIC_ACQUIRE) && (control->calls & call) &&
         (!control->program[0] || strcmp(control->program, program_invocation_short_name) == 0);
}

static uint32_t action_at_path(uint32_t call, const char *path) {
  if (!concerns(call)) return FAULTS_COUNT;
  return action_for(path);
}

static uint32_t action_at_rename(const char *from, const char *to) {
  if (!concerns(FAULTS_RENAME)) return FAULTS_COUNT;
  return action_for(strstr(to, control->path) ? to : from);
}

static uint32_t action_at_file(uint32_t call, int file) {
  if (!concerns(call)) return FAULTS_COUNT;
  char link[64], path[4096];
  int kept = errno;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = kept;
  if (length <= 0 || path[0] != '/') return FAULTS_COUNT;
  path[length] = 0;
  return action_for(path);
}

/// Kills or fails as told; the call itself goes on otherwise. `DO` is what a half-done call does before it dies.
#define SUFFER(ACTION, DO)                                                                                             \
  switch (ACTION) {                                                                                                    \
  case FAULTS_KILL: die();                                                                                             \
  case FAULTS_KILL_HALF: DO; die();                                                                                    \
  case FAULTS_FAIL: errno = control->error; return -1;                                                                 \
  }

int fsync(int file) {
  SUFFER(action_at_file(FAULTS_SYNC, file), NEXT(fsync)(file))
  return NEXT(fsync)(file);
}

int fdatasync(int file) {
  SUFFER(action_at_file(FAULTS_SYNC, file), NEXT(fdatasync)(file))
  return NEXT(fdatasync)(file);
}

int rename(const char *from, const char *to) {
  SUFFER(action_at_rename(from, to), NEXT(rename)(from, to))
  return NEXT(rename)(from, to);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
  SUFFER(action_at_rename(from, to), NEXT(renameat)(from_folder, from, to_folder, to))
  return NEXT(renameat)(from_folder, from, to_folder, to);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
  SUFFER(action_at_rename(from, to), NEXT(renameat2)(from_folder, from, to_folder, to, flags))
  return NEXT(renameat2)(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path) {
  SUFFER(action_at_path(FAULTS_UNLINK, path), NEXT(unlink)(path))
  return NEXT(unlink)(path);
}

int unlinkat(int folder, const char *path, int flags) {
  SUFFER(action_at_path(FAULTS_UNLINK, path), NEXT(unlinkat)(folder, path, flags))
  return NEXT(unlinkat)(folder, path, flags);
}

ssize_t write(int file, const void *bytes, size_t count) {
  SUFFER(action_at_file(FAULTS_WRITE, file), NEXT(write)(file, bytes, count / 2))
  return NEXT(write)(file, bytes, count);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
  SUFFER(action_at_file(FAULTS_WRITE, file), NEXT(writev)(file, parts, count / 2))
  return NEXT(writev)(file, parts, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  SUFFER(action_at_file(FAULTS_WRITE, file), NEXT(pwrite)(file, bytes, count / 2, offset))
  return NEXT(pwrite)(file, bytes, count, offset);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
  SUFFER(action_at_file(FAULTS_WRITE, file), NEXT(pwrite64)(file, bytes, count / 2, offset))
  return NEXT(pwrite64)(file, bytes, count, offset);
}

int ftruncate(int file, off_t length) {
  SUFFER(action_at_file(FAULTS_TRUNCATE, file), NEXT(ftruncate)(file, length))
  return NEXT(ftruncate)(file, length);
}

int ftruncate64(int file, off64_t length) {
  SUFFER(action_at_file(FAULTS_TRUNCATE, file), NEXT(ftruncate64)(file, length))
  return NEXT(ftruncate64)(file, length);
}

ssize_t read(int file, void *bytes, size_t count) {
  SUFFER(action_at_file(FAULTS_READ, file), (void)0)
  return NEXT(read)(file, bytes, count);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
  SUFFER(action_at_file(FAULTS_READ, file), (void)0)
  return NEXT(pread)(file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t offset) {
  SUFFER(action_at_file(FAULTS_READ, file), (void)0)
  return NEXT(pread64)(file, bytes, count, offset);
}

// MARK: the wall clock

static int64_t offset_ns(void) {
  if (!control) return 0;
  __atomic_add_fetch(&control->clock_readings, 1, __ATOMIC_RELAXED);
  return __atomic_load_n(&control->clock_offset_ns, __ATOMIC_RELAXED);
}

static void move(struct timespec *time) {
  int64_t moved = time->tv_sec * 1000000000LL + time->tv_nsec + offset_ns();
  time->tv_sec = moved / 1000000000LL;
  time->tv_nsec = moved % 1000000000LL;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  int result = NEXT(clock_gettime)(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) move(time);
  return result;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
  return 0;
}

// MARK: poison

int jpeg_read_header(j_decompress_ptr picture, boolean need_image) {
  int result = NEXT(jpeg_read_header)(picture, need_image);
  if (!control || !control->poison) return result;
  if (picture->image_width == FAULTS_WIDTH_CRASH) {
    __atomic_add_fetch(&control->poisoned, 1, __ATOMIC_RELAXED);
    *(volatile int *)8 = 1;
  }
  if (picture->image_width == FAULTS_WIDTH_LOOP) {
    __atomic_add_fetch(&control->poisoned, 1, __ATOMIC_RELAXED);
    for (volatile uint64_t turns = 0;; turns++) {}
  }
  return result;
}
