// See hostile.h. The file is copied to lookout-sink-<mode>.so, and <mode> says which rule is broken.
#define _GNU_SOURCE
#include "hostile.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char mode[64];
static char path[1024];
static int output = -1;
static const lookout_record *kept;
static size_t kept_count;

static int is(const char *name) { return strcmp(mode, name) == 0; }

__attribute__((constructor)) static void find_mode(void) {
  Dl_info info;
  if (!dladdr((void *)find_mode, &info)) return;
  const char *name = strrchr(info.dli_fname, '/');
  name = name ? name + 1 : info.dli_fname;
  if (sscanf(name, "lookout-sink-%63[^.]", mode) != 1) mode[0] = 0;
  if (is("constructor")) raise(SIGSEGV);
}

/// Whether the suite holds the sink's peer away: a file of that name beside the output.
static int is_away(void) {
  char mark[1100];
  snprintf(mark, sizeof mark, "%s.away", path);
  return access(mark, F_OK) == 0;
}

static lookout_status open_sink(const lookout_host *host, lookout_str config, lookout_str position, void **self,
                                lookout_error *error) {
  (void)host;
  *self = NULL;
  if (is("slow-open")) sleep(3600);
  if (is("exit-open")) exit(0);
  const char *key = memmem(config.ptr, config.len, "\"path\":\"", 8);
  if (!key || sscanf(key + 8, "%1023[^\"]", path) != 1) {
    snprintf(error->text, sizeof error->text, "key 'path' is missing");
    return LOOKOUT_FATAL;
  }
  output = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (output < 0) return LOOKOUT_RETRY;
  char text[32] = "";
  memcpy(text, position.ptr, position.len < 31 ? position.len : 31);
  if (position.len && ftruncate(output, atoll(text)) != 0) return LOOKOUT_RETRY;
  lseek(output, 0, SEEK_END);
  return LOOKOUT_OK;
}

static const lookout_record *at(const lookout_batch *batch, size_t index) {
  return (const void *)((const char *)batch->records + index * batch->record_stride);
}

static lookout_verdict *verdict(lookout_verdicts *verdicts, size_t index) {
  return (void *)((char *)verdicts->items + index * verdicts->stride);
}

static lookout_status write_batch(void *self, const lookout_batch *batch, lookout_verdicts *verdicts,
                                  lookout_error *error) {
  (void)self;
  if (batch->count == 0) return LOOKOUT_OK;
  if (is("segfault")) raise(SIGSEGV);
  if (is("abort")) abort();
  if (is("exit")) exit(0);
  if (is("hang")) for (;;) sleep(3600);
  if (is("outage") && is_away()) {
    snprintf(error->text, sizeof error->text, "the peer is away");
    return LOOKOUT_RETRY;
  }
  if (is("status")) return 4711;
  if (is("verdicts")) {
    for (size_t i = 0; i < batch->count; i++) {
      verdict(verdicts, i)->status = -17;
      memset(verdict(verdicts, i)->reason, 0xFF, sizeof verdict(verdicts, i)->reason);
    }
    return LOOKOUT_OK;
  }
  if (is("leak")) {
    // Volatile, or the compiler sees that nobody reads it and leaves all of it out.
    volatile char *lost = malloc(64 << 20);
    for (size_t i = 0; lost && i < 64 << 20; i += 4096) lost[i] = 1;
  }
  if (is("keeps")) {
    // The batch of the call before, which is the host's again: whatever is read there must harm nobody else.
    volatile size_t sum = 0;
    for (size_t i = 0; kept && i < kept_count; i++) sum += kept[i].id.len ? (size_t)kept[i].id.ptr[0] : 0;
    kept = batch->records;
    kept_count = batch->count;
  }
  for (size_t i = 0; i < batch->count; i++) {
    const lookout_record *record = at(batch, i);
    if (is("seventh") && !is_away() && record->sequence % 7 == 0) {
      verdict(verdicts, i)->status = LOOKOUT_REJECT;
      snprintf(verdict(verdicts, i)->reason, sizeof verdict(verdicts, i)->reason, "every seventh record");
      continue;
    }
    if (is("slow")) sleep(1);
    dprintf(output, "%.*s\n", (int)record->id.len, record->id.ptr);
  }
  return LOOKOUT_OK;
}

static lookout_status flush_sink(void *self, lookout_position *position, lookout_error *error) {
  (void)self;
  (void)error;
  if (is("position")) {
    position->len = 1u << 30;
    return LOOKOUT_OK;
  }
  if (fsync(output) != 0) return LOOKOUT_FATAL;
  position->len = snprintf(position->text, sizeof position->text, "%lld", (long long)lseek(output, 0, SEEK_END));
  return LOOKOUT_OK;
}

static void close_sink(void *self) {
  (void)self;
  if (is("crash-close")) raise(SIGSEGV);
  close(output);
}

LOOKOUT_SINK_EXPORT const lookout_sink *lookout_sink_v1(void) {
  static lookout_sink table = {
      sizeof table, LOOKOUT_SINK_ABI_MAJOR, LOOKOUT_SINK_ABI_MINOR, 0, "hostile", "1.0.0",
      open_sink, write_batch, flush_sink, close_sink,
  };
  if (is("abi")) table.abi_major = 9;
  if (is("short")) table.struct_size = 16;
  if (is("null")) return NULL;
  return &table;
}
