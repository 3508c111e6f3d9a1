// lookout-faults-disk: a FUSE file system with one file, `disk`, that behaves as a disk with a volatile cache.
//
// Writes are kept in memory until they are flushed (fsync). What is written into the file `cut`, "<seed> <path>", stores
// at <path> what a loss of power at this instant could leave: everything flushed, and of each block of 4 KiB written since
// either nothing or what some prefix of its writes left, chosen by the seed. Reading `cut` gives the number of blocks
// written since the last flush and of those that were lost. Single-threaded (-s), so that a cut is one instant.
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096

typedef struct pending {
  struct pending *next;
  off_t offset;
  size_t size;
  char bytes[];
} pending;

static char *durable; /* the image's file, mapped: what was flushed */
static char *current; /* what a reader sees */
static off_t size;
static pending *first, **last = &first;
static char report[64] = "0 0\n";

static int get_attributes(const char *path, struct stat *out, struct fuse_file_info *file) {
  (void)file;
  memset(out, 0, sizeof *out);
  if (strcmp(path, "/") == 0) {
    out->st_mode = S_IFDIR | 0755;
    out->st_nlink = 2;
  } else if (strcmp(path, "/disk") == 0 || strcmp(path, "/cut") == 0) {
    out->st_mode = S_IFREG | 0600;
    out->st_nlink = 1;
    out->st_size = path[1] == 'd' ? size : (off_t)strlen(report);
  } else {
    return -ENOENT;
  }
  return 0;
}

static int open_file(const char *path, struct fuse_file_info *file) {
  file->direct_io = strcmp(path, "/cut") == 0;
  file->keep_cache = !file->direct_io;
  return 0;
}

static int truncate_file(const char *path, off_t length, struct fuse_file_info *file) {
  (void)length;
  (void)file;
  return strcmp(path, "/cut") == 0 ? 0 : -EPERM;
}

static int read_file(const char *path, char *out, size_t count, off_t offset, struct fuse_file_info *file) {
  (void)file;
  const char *from = strcmp(path, "/disk") == 0 ? current : report;
  off_t end = from == current ? size : (off_t)strlen(report);
  if (offset >= end) return 0;
  if (offset + (off_t)count > end) count = end - offset;
  memcpy(out, from + offset, count);
  return count;
}

static void flush_all(void) {
  for (pending *write = first, *next; write; write = next) {
    next = write->next;
    memcpy(durable + write->offset, write->bytes, write->size);
    free(write);
  }
  first = NULL;
  last = &first;
}

static int synchronise(const char *path, int data_only, struct fuse_file_info *file) {
  (void)data_only;
  (void)file;
  if (strcmp(path, "/disk") == 0) flush_all();
  return 0;
}

static uint32_t draw(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/// Stores what a loss of power leaves. A third of the cuts lose all that was not flushed, a third lose each block at even
/// odds, a third lose few.
static int cut(const char *command) {
  unsigned seed;
  char path[1024];
  if (sscanf(command, "%u %1023[^\n]", &seed, path) != 2) return -EINVAL;
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, size) != 0) return -errno;
  char *image = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (image == MAP_FAILED) return -errno;
  for (off_t at = 0; at < size; at += BLOCK) {
    if (memcmp(image + at, durable + at, BLOCK) != 0) memcpy(image + at, durable + at, BLOCK);
  }
  uint32_t state = seed * 2654435761u + 1;
  uint32_t odds = (uint32_t[]){0, 50, 90}[seed % 3];
  char *stopped = calloc(size / BLOCK, 1); /* a block that lost one write keeps none that came later */
  unsigned written = 0, lost = 0;
  for (pending *write = first; write && stopped; write = write->next) {
    for (size_t done = 0; done < write->size;) {
      off_t block = (write->offset + done) / BLOCK;
      size_t part = (block + 1) * BLOCK - (write->offset + done);
      if (part > write->size - done) part = write->size - done;
      written++;
      if (stopped[block] || draw(&state) % 100 >= odds) {
        stopped[block] = 1;
        lost++;
      } else {
        memcpy(image + write->offset + done, write->bytes + done, part);
      }
      done += part;
    }
  }
  free(stopped);
  munmap(image, size);
  snprintf(report, sizeof report, "%u %u\n", written, lost);
  return 0;
}

static int write_file(const char *path, const char *bytes, size_t count, off_t offset, struct fuse_file_info *file) {
  (void)file;
  if (strcmp(path, "/cut") == 0) {
    char command[1100];
    snprintf(command, sizeof command, "%.*s", (int)(count < 1099 ? count : 1099), bytes);
    int result = cut(command);
    return result < 0 ? result : (int)count;
  }
  if (offset + (off_t)count > size) return -ENOSPC;
  pending *write = malloc(sizeof *write + count);
  if (!write) return -ENOMEM;
  *write = (pending){NULL, offset, count};
  memcpy(write->bytes, bytes, count);
  memcpy(current + offset, bytes, count);
  *last = write;
  last = &write->next;
  return count;
}

int main(int argc, char **argv) {
  const char *path = getenv("LOOKOUT_FAULTS_DISK");
  int image = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  struct stat status;
  if (image < 0 || fstat(image, &status) != 0) {
    fprintf(stderr, "lookout-faults-disk: LOOKOUT_FAULTS_DISK must name an image\n");
    return 66;
  }
  size = status.st_size;
  durable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, image, 0);
  current = malloc(size);
  if (durable == MAP_FAILED || !current) return 71;
  memcpy(current, durable, size);
  static const struct fuse_operations operations = {
      .getattr = get_attributes, .open = open_file, .truncate = truncate_file, .read = read_file,
      .write = write_file, .fsync = synchronise,
  };
  return fuse_main(argc, argv, &operations, NULL);
}
