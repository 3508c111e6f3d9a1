/*
 * example-c: tab-separated lines (id, status, path, best label, score), durable, resumed at a byte offset.
 * Copy it and change `line` and the strings. Configuration: {"path": "/absolute/file"}, without escapes.
 */
#include "lookout_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  int fd;
  off_t end;
  char path[4096];
} sink;

static lookout_status fail(lookout_error *error, lookout_status status, const char *what, int code) {
  error->code = code;
  snprintf(error->text, sizeof error->text, "%.300s%s%s", what, code ? ": " : "", code ? strerror(code) : "");
  return status;
}

/* Takes exactly {"path": "..."}; a plugin with more keys uses a JSON library. */
static int decode(lookout_str config, char path[4096], lookout_error *error) {
  char text[4352], key[64];
  int used = 0;
  if (config.len >= sizeof text) return fail(error, LOOKOUT_FATAL, "the configuration is too long", 0);
  if (config.len) memcpy(text, config.ptr, config.len);
  text[config.len] = 0;
  if (sscanf(text, " { \"%63[^\"]\" : \"%4095[^\"\\]\" } %n", key, path, &used) < 2 || (size_t)used != config.len) {
    const char *quote = strchr(text, ',');
    return fail(error, LOOKOUT_FATAL, quote ? quote : "want {\"path\": \"/absolute/file\"} and no other or unknown key", 0);
  }
  if (strcmp(key, "path") != 0) {
    char reason[128];
    snprintf(reason, sizeof reason, "unknown key '%s'; allowed: path", key);
    return fail(error, LOOKOUT_FATAL, reason, 0);
  }
  return path[0] == '/' ? LOOKOUT_OK : fail(error, LOOKOUT_FATAL, "key 'path' must be absolute", 0);
}

static void sink_close(void *self) {
  sink *s = self;
  if (s->fd >= 0) close(s->fd);
  free(s);
}

static lookout_status sink_open(const lookout_host *host, lookout_str config, lookout_str resume, void **self,
                                lookout_error *error) {
  (void)host;
  struct stat status;
  char offset[32] = "";
  lookout_status result = LOOKOUT_OK;
  sink *s = calloc(1, sizeof *s);
  if (!s) return fail(error, LOOKOUT_RETRY, "no memory", ENOMEM);
  s->fd = -1;
  if ((result = decode(config, s->path, error)) != LOOKOUT_OK) goto out;
  s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
  if (s->fd < 0 || flock(s->fd, LOCK_EX | LOCK_NB) != 0 || fstat(s->fd, &status) != 0) {
    result = fail(error, LOOKOUT_RETRY, s->path, errno);
    goto out;
  }
  if (!S_ISREG(status.st_mode)) {
    result = fail(error, LOOKOUT_FATAL, "key 'path' must name a regular file", 0);
    goto out;
  }
  s->end = status.st_size;
  if (resume.len > 0 && resume.len < sizeof offset) {
    memcpy(offset, resume.ptr, resume.len);
    off_t last = (off_t)strtoll(offset, NULL, 10);
    if (last < s->end) s->end = last; /* what is behind it comes again */
    if (ftruncate(s->fd, s->end) != 0) result = fail(error, LOOKOUT_RETRY, s->path, errno);
  }
out:
  if (result == LOOKOUT_OK)
    *self = s;
  else
    sink_close(s);
  return result;
}

static void put(FILE *out, lookout_str text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    fputs(c == '\t' ? "\\t" : c == '\n' ? "\\n" : c == '\\' ? "\\\\" : (char[]){c, 0}, out);
  }
}

static void line(FILE *out, const lookout_record *record) {
  put(out, record->id);
  fputs(record->status == LOOKOUT_RECORD_OK ? "\tok\t" : "\tfailed\t", out);
  put(out, record->path);
  fputc('\t', out);
  if (record->prediction_count > 0) {
    put(out, record->predictions[0].label);
    fprintf(out, "\t%.9g\n", (double)record->predictions[0].score);
  } else {
    fputs("\t\n", out);
  }
}

static lookout_status sink_write(void *self, const lookout_batch *batch, lookout_verdicts *verdicts,
                                 lookout_error *error) {
  (void)verdicts; /* all OK on entry */
  sink *s = self;
  char *text = NULL;
  size_t size = 0, done = 0;
  FILE *out = open_memstream(&text, &size);
  if (!out) return fail(error, LOOKOUT_RETRY, "no memory", ENOMEM);
  for (size_t i = 0; i < batch->count; i++)
    line(out, (const lookout_record *)((const char *)batch->records + i * batch->record_stride));
  if (fclose(out) != 0) {
    free(text);
    return fail(error, LOOKOUT_RETRY, "no memory", ENOMEM);
  }
  while (done < size) {
    ssize_t n = pwrite(s->fd, text + done, size - done, s->end + (off_t)done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += (size_t)n;
  }
  int code = errno;
  free(text);
  if (done < size)
    return ftruncate(s->fd, s->end) == 0 ? fail(error, LOOKOUT_RETRY, s->path, code)
                                         : fail(error, LOOKOUT_FATAL, s->path, errno);
  s->end += (off_t)size;
  return LOOKOUT_OK;
}

static lookout_status sink_flush(void *self, lookout_position *position, lookout_error *error) {
  sink *s = self;
  if (fsync(s->fd) != 0) return fail(error, LOOKOUT_FATAL, s->path, errno);
  char folder[4096];
  memcpy(folder, s->path, sizeof folder);
  *(strrchr(folder, '/') + 1) = 0;
  int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int failed = dir < 0 || fsync(dir) != 0;
  int code = errno;
  if (dir >= 0) close(dir);
  if (failed) return fail(error, LOOKOUT_RETRY, folder, code);
  position->len = (uint32_t)snprintf(position->text, sizeof position->text, "%lld", (long long)s->end);
  return LOOKOUT_OK;
}

LOOKOUT_SINK_EXPORT const lookout_sink *lookout_sink_v1(void) {
  static const lookout_sink table = {
      .struct_size = sizeof table, .abi_major = LOOKOUT_SINK_ABI_MAJOR, .abi_minor = LOOKOUT_SINK_ABI_MINOR,
      .name = "example-c", .version = "1.0.0",
      .open = sink_open, .write = sink_write, .flush = sink_flush, .close = sink_close};
  return &table;
}
