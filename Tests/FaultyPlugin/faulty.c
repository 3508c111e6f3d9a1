/*
 * A sink for tests that keeps the contract until it is told to break it.
 *
 * Options: "path", the output, one id a line; "fault", what goes wrong; "at", the call in which it does (open, write,
 * flush or close); "switch", a file: the fault happens only while it is there. The environment breaks what comes
 * before open: LOOKOUT_FAULTY_LOAD=crash in a constructor, LOOKOUT_FAULTY_TABLE=major|short|null|empty in the table.
 */
#include "lookout_sink.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct sink {
  int fd;
  long long end;
  unsigned long records;
  char fault[32], at[16], lever[1024];
  const lookout_batch *kept;
} sink;

/* A true fault, not one that is only raised. */
static void crash(void) {
  static int *volatile nowhere;
  *(volatile int *)nowhere = 1;
}

__attribute__((constructor)) static void at_load(void) {
  const char *fault = getenv("LOOKOUT_FAULTY_LOAD");
  if (fault && strcmp(fault, "crash") == 0) crash();
}

static lookout_status fail(lookout_error *error, lookout_status status, const char *text) {
  snprintf(error->text, sizeof error->text, "%s", text);
  return status;
}

/* The text of a key, enough for what the tests write. */
static void option(lookout_str config, const char *key, char *out, size_t size) {
  char text[4096], name[64];
  snprintf(text, sizeof text, "%.*s", (int)config.len, config.ptr);
  snprintf(name, sizeof name, "\"%s\":\"", key);
  char *start = strstr(text, name);
  out[0] = 0;
  if (!start) return;
  start += strlen(name);
  char *end = strchr(start, '"');
  if (end) snprintf(out, size, "%.*s", (int)(end - start), start);
}

static int is_due(const sink *s, const char *call) {
  return strcmp(s->at, call) == 0 && (s->lever[0] == 0 || access(s->lever, F_OK) == 0);
}

/* Faults that end or stop the process, whatever the call. */
static void misbehave(const sink *s, const char *call) {
  if (!is_due(s, call)) return;
  if (strcmp(s->fault, "crash") == 0) crash();
  if (strcmp(s->fault, "raise") == 0) raise(SIGSEGV);
  if (strcmp(s->fault, "abort") == 0) abort();
  if (strcmp(s->fault, "exit") == 0) exit(0);
  if (strcmp(s->fault, "hang") == 0)
    for (;;) pause();
  if (strcmp(s->fault, "slow") == 0) sleep(1);
  if (strcmp(s->fault, "leak") == 0) {
    char *lost = malloc(4 << 20);
    if (lost) memset(lost, 1, 4 << 20);
  }
  if (strcmp(s->fault, "chatter") == 0)
    for (int i = 0; i < 10000; i++) fprintf(stderr, "chatter\n");
}

static lookout_status sink_open(const lookout_host *host, lookout_str config, lookout_str resume, void **self,
                                lookout_error *error) {
  (void)host;
  char path[1024], offset[32] = "";
  sink *s = calloc(1, sizeof *s);
  if (!s) return fail(error, LOOKOUT_RETRY, "no memory");
  option(config, "path", path, sizeof path);
  option(config, "fault", s->fault, sizeof s->fault);
  option(config, "at", s->at, sizeof s->at);
  option(config, "switch", s->lever, sizeof s->lever);
  misbehave(s, "open");
  s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (s->fd < 0) {
    free(s);
    return fail(error, LOOKOUT_RETRY, "the output does not open");
  }
  struct stat status;
  fstat(s->fd, &status);
  s->end = status.st_size;
  if (resume.len > 0 && resume.len < sizeof offset) {
    memcpy(offset, resume.ptr, resume.len);
    if (atoll(offset) < s->end) s->end = atoll(offset);
  }
  if (ftruncate(s->fd, s->end) != 0) return fail(error, LOOKOUT_RETRY, "the output cannot be cut");
  *self = s;
  return LOOKOUT_OK;
}

static lookout_status sink_write(void *self, const lookout_batch *batch, lookout_verdicts *verdicts,
                                 lookout_error *error) {
  sink *s = self;
  misbehave(s, "write");
  int due = is_due(s, "write");
  if (due && strcmp(s->fault, "retry") == 0) return fail(error, LOOKOUT_RETRY, "not now");
  if (due && strcmp(s->fault, "fatal") == 0) return fail(error, LOOKOUT_FATAL, "broken");
  if (due && strcmp(s->fault, "status") == 0) return 1234;
  if (due && strcmp(s->fault, "unended") == 0) {
    memset(error->text, 'x', sizeof error->text);
    return LOOKOUT_RETRY;
  }
  /* What was kept from an earlier call is the host's again: reading it is the plugin's own risk. */
  volatile size_t stale = due && strcmp(s->fault, "keeps") == 0 && s->kept ? s->kept->count : 0;
  (void)stale;
  s->kept = batch;
  for (size_t i = 0; i < batch->count; i++) {
    const lookout_record *r = (const lookout_record *)((const char *)batch->records + i * batch->record_stride);
    lookout_verdict *v = (lookout_verdict *)((char *)verdicts->items + i * verdicts->stride);
    s->records++;
    if (due && strcmp(s->fault, "verdict") == 0) v->status = 77;
    if (due && strcmp(s->fault, "reject") == 0 && s->records % 7 == 0) {
      v->status = LOOKOUT_REJECT;
      memset(v->reason, 'y', sizeof v->reason);
      continue;
    }
    char line[256];
    int length = snprintf(line, sizeof line, "%.*s\n", (int)r->id.len, r->id.ptr);
    if (pwrite(s->fd, line, (size_t)length, s->end) != length) {
      return fail(error, LOOKOUT_FATAL, "the output is full");
    }
    s->end += length;
  }
  return LOOKOUT_OK;
}

static lookout_status sink_flush(void *self, lookout_position *position, lookout_error *error) {
  sink *s = self;
  misbehave(s, "flush");
  if (is_due(s, "flush") && strcmp(s->fault, "length") == 0) {
    position->len = 5000;
    return LOOKOUT_OK;
  }
  if (is_due(s, "flush") && strcmp(s->fault, "bytes") == 0) {
    position->len = 2;
    memcpy(position->text, "\xff\xfe", 2);
    return LOOKOUT_OK;
  }
  if (fsync(s->fd) != 0) return fail(error, LOOKOUT_FATAL, "fsync");
  position->len = (uint32_t)snprintf(position->text, sizeof position->text, "%lld", s->end);
  return LOOKOUT_OK;
}

static void sink_close(void *self) {
  sink *s = self;
  misbehave(s, "close");
  close(s->fd);
  free(s);
}

LOOKOUT_SINK_EXPORT const lookout_sink *lookout_sink_v1(void) {
  static lookout_sink table = {
      .struct_size = sizeof table, .abi_major = LOOKOUT_SINK_ABI_MAJOR, .abi_minor = LOOKOUT_SINK_ABI_MINOR,
      .name = "faulty", .version = "1.0.0",
      .open = sink_open, .write = sink_write, .flush = sink_flush, .close = sink_close};
  const char *fault = getenv("LOOKOUT_FAULTY_TABLE");
  if (fault && strcmp(fault, "major") == 0) table.abi_major = 2;
  if (fault && strcmp(fault, "short") == 0) table.struct_size = 40;
  if (fault && strcmp(fault, "empty") == 0) table.flush = NULL;
  return fault && strcmp(fault, "null") == 0 ? NULL : &table;
}
