/*
 * lookout_sink.h: the contract between Lookout and a sink plugin, version 1.0
 *
 * A plugin is a shared object, lookout-sink-<name>.so, that exports ONE symbol, lookout_sink_v1. Lookout loads it
 * into a process of its own (lookout-sink-host), opens one sink, hands it batches of results, and asks it now and then to
 * make durable what it accepted. MUST, MUST NOT, SHOULD and MAY are meant as in RFC 2119. docs/SINK_ABI.md tells the same
 * with examples; plugins/example-c is a complete plugin to copy.
 *
 * Growth. Structs only ever grow at their end. struct_size, the first member of what each side hands over as a table, says
 * how much the other side knows; a reader MUST NOT touch members beyond it. Arrays carry a stride, and a reader MUST step
 * by it and not by sizeof. Appended members raise the minor version; anything else is a new symbol, lookout_sink_v2.
 *
 * Ownership. Whatever one side passes to the other stays the passing side's. Strings, batches and out-buffers are the
 * host's and valid during the call only: a plugin MUST copy what it keeps and MUST NOT free or write to them (out-buffers
 * excepted). The table, its strings and `self` are the plugin's. No memory is freed by the side that did not allocate it.
 *
 * Threads. All calls on one instance come from one thread, one at a time, never from inside another call. Instances are
 * independent and MAY be driven from several threads at once. host->log MAY be called from any thread.
 *
 * A plugin MUST NOT throw or longjmp across the line, install signal handlers, fork, chdir, or change umask, locale or
 * resource limits, and MUST return from each call within bounded time: the host kills a process whose call outlives its
 * deadline and counts the call as not made. It is never dlclosed. What it writes to stdout or stderr goes to the journal.
 */
#ifndef LOOKOUT_SINK_H
#define LOOKOUT_SINK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#define LOOKOUT_STATIC_ASSERT static_assert
#else
#define LOOKOUT_STATIC_ASSERT _Static_assert
#endif

#define LOOKOUT_SINK_ABI_MAJOR 1
#define LOOKOUT_SINK_ABI_MINOR 0

/* Marks the one symbol that a plugin exports; SHOULD be built with -fvisibility=hidden. */
#define LOOKOUT_SINK_EXPORT __attribute__((visibility("default")))

/*
 * What became of a call or of one record. Any other value counts as LOOKOUT_FATAL.
 *   OK      accepted; durable only after the next flush that returns OK
 *   RETRY   not now (no space, no right, peer away): the host sends it again later, with back-off
 *   REJECT  never (this record cannot be stored): the host puts it aside with the reason and goes on
 *   FATAL   the instance is broken: the host closes it, and opens a new one at the last durable position
 */
typedef int32_t lookout_status;
#define LOOKOUT_OK 0
#define LOOKOUT_RETRY 1
#define LOOKOUT_REJECT 2
#define LOOKOUT_FATAL 3

/* Bytes, not NUL-ended. `ptr` MAY be NULL when `len` is 0. UTF-8 unless the member says otherwise. */
typedef struct lookout_str {
  const char *ptr;
  size_t len;
} lookout_str;

/* The host's buffer for a reason, which the plugin fills when a call does not return OK: `text` NUL-ended UTF-8, one line,
 * naming what was asked for (the file, the key), what happened and the remedy. `code` is an errno, or 0. */
typedef struct lookout_error {
  int32_t code;
  char text[508];
} lookout_error;

/* The host's buffer for a position: an opaque string, `len` bytes of `text`, no NUL needed. */
typedef struct lookout_position {
  uint32_t len; /* at most LOOKOUT_POSITION_MAX */
  char text[1020];
} lookout_position;
#define LOOKOUT_POSITION_MAX 1020

typedef struct lookout_prediction {
  uint32_t rank;     /* 1 is the best; ascending in the array */
  uint32_t index;    /* class index in the model */
  lookout_str label; /* may be empty when the model carries no labels */
  float score;       /* probability */
  uint32_t reserved;
} lookout_prediction;

/* Status of a record (not of a call). */
#define LOOKOUT_RECORD_OK 0u
#define LOOKOUT_RECORD_FAILED 1u

/* The outcome of one image. */
typedef struct lookout_record {
  uint64_t sequence;       /* ascending within a sink, gaps allowed; a replayed record keeps its number */
  int64_t time_ns;         /* nanoseconds since 1970-01-01T00:00:00Z */
  lookout_str id;          /* UUIDv7 text, unique per arrival: the idempotence key */
  lookout_str watch;       /* the watch's name in the configuration */
  lookout_str path;        /* BYTES as the kernel gave them: maybe not UTF-8, maybe with line breaks; never NUL */
  lookout_str sha256;      /* lower-case hex, or empty when the file could not be read */
  lookout_str error;       /* why it failed; empty when status is LOOKOUT_RECORD_OK */
  lookout_str model;       /* the model's name in the configuration */
  lookout_str model_digest;
  uint32_t width, height;  /* pixels after orientation; 0 when unknown */
  uint32_t status;         /* LOOKOUT_RECORD_OK or LOOKOUT_RECORD_FAILED */
  uint32_t prediction_count;
  const lookout_prediction *predictions; /* step by the batch's prediction_stride; NULL when there are none */
} lookout_record;

typedef struct lookout_batch {
  size_t struct_size;
  size_t count;
  size_t record_stride;     /* bytes from one record to the next */
  size_t prediction_stride; /* bytes from one prediction to the next */
  const lookout_record *records; /* NULL when count is 0 */
} lookout_batch;

/* What became of one record, in an array that the host allocated, one per record, all OK on entry. `reason` is a NUL-ended
 * buffer, for RETRY and REJECT. */
typedef struct lookout_verdict {
  lookout_status status;
  char reason[252];
} lookout_verdict;

typedef struct lookout_verdicts {
  size_t struct_size;
  size_t count;  /* equals the batch's count */
  size_t stride; /* bytes from one verdict to the next */
  lookout_verdict *items;
} lookout_verdicts;

/* Levels of log lines, as journald numbers them. */
#define LOOKOUT_LOG_ERROR 3
#define LOOKOUT_LOG_WARNING 4
#define LOOKOUT_LOG_INFO 6
#define LOOKOUT_LOG_DEBUG 7

/* What the host offers. Valid from open until close returns. */
typedef struct lookout_host {
  size_t struct_size;
  uint16_t abi_major, abi_minor;
  uint32_t reserved;
  void *context; /* the host's, to be handed back */
  /* One journal line (UTF-8, cut at 4096 bytes) with a LOOKOUT_LOG_ level. Any thread. MUST NOT be called after close. */
  void (*log)(void *context, int32_t level, lookout_str message);
} lookout_host;

/* The plugin's table. lookout_sink_v1 returns the same one each time; it lives as long as the process. */
typedef struct lookout_sink {
  size_t struct_size; /* sizeof(lookout_sink) */
  uint16_t abi_major; /* LOOKOUT_SINK_ABI_MAJOR */
  uint16_t abi_minor; /* LOOKOUT_SINK_ABI_MINOR */
  uint32_t reserved;
  const char *name;    /* NUL-ended; the same word as in the file name */
  const char *version; /* NUL-ended; the plugin's own */

  /*
   * Opens one sink.
   *
   * `config_json` is a JSON object: the sink's table of the configuration without `plugin`. It MUST be decoded strictly:
   * an unknown key or a wrong type is LOOKOUT_FATAL with an error that names the key.
   *
   * `resume_position` is the last position that this sink returned from flush and that Lookout stored, or empty for a
   * fresh start. What was written behind it MUST be cut off, overwritten or recognised by id: the host sends it again.
   * A position that no longer exists because the operator took the output away MUST start afresh.
   *
   * On OK `*self` is the instance (MAY be NULL). On anything else the plugin MUST have released all it took, and `close`
   * is not called. RETRY means that opening again later may do; FATAL means that the configuration must change.
   */
  lookout_status (*open)(const lookout_host *host, lookout_str config_json, lookout_str resume_position, void **self,
                         lookout_error *error);

  /*
   * Takes a batch in its order. count MAY be 0.
   *
   * OK means that each record's verdict tells its fate. A record whose verdict is OK MUST become durable with the next
   * flush that returns OK; one with another verdict MUST leave no
   * trace. RETRY or FATAL as the return value means that NO record of the batch was taken: the plugin MUST have undone
   * a partial write, verdicts are not looked at. REJECT as the return value rejects
   * each record of the batch. A record that follows one with the verdict RETRY SHOULD be RETRY too, so that order is kept.
   */
  lookout_status (*write)(void *self, const lookout_batch *batch, lookout_verdicts *verdicts, lookout_error *error);

  /*
   * Makes all accepted records durable: OK means that they survive a loss of power, including the name of a file just
   * made. `position_out` MUST then name the place behind the last of them. With nothing new, the last position again.
   * RETRY: nothing is lost, flush comes again. FATAL as above.
   */
  lookout_status (*flush)(void *self, lookout_position *position_out, lookout_error *error);

  /* Releases the instance. No flush is implied. Called once, and only after an open that returned OK. MAY not be called
   * at all: the process may be killed at any instant, and the plugin MUST then be able to resume at its last position. */
  void (*close)(void *self);
} lookout_sink;

/* The only exported symbol. MUST have no side effects, and MUST NOT return NULL. */
typedef const lookout_sink *(*lookout_sink_v1_function)(void);
LOOKOUT_SINK_EXPORT const lookout_sink *lookout_sink_v1(void);

/* The smallest table that the host takes: every member of 1.0. */
#define LOOKOUT_SINK_V1_MIN_SIZE (offsetof(lookout_sink, close) + sizeof(void (*)(void *)))

#if UINTPTR_MAX == UINT64_MAX
LOOKOUT_STATIC_ASSERT(sizeof(lookout_str) == 16, "lookout_str");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_error) == 512, "lookout_error");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_position) == 1024, "lookout_position");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_prediction) == 32, "lookout_prediction");
LOOKOUT_STATIC_ASSERT(offsetof(lookout_prediction, score) == 24, "lookout_prediction.score");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_record) == 152, "lookout_record");
LOOKOUT_STATIC_ASSERT(offsetof(lookout_record, path) == 48, "lookout_record.path");
LOOKOUT_STATIC_ASSERT(offsetof(lookout_record, predictions) == 144, "lookout_record.predictions");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_batch) == 40, "lookout_batch");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_verdict) == 256, "lookout_verdict");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_verdicts) == 32, "lookout_verdicts");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_host) == 32, "lookout_host");
LOOKOUT_STATIC_ASSERT(sizeof(lookout_sink) == 64, "lookout_sink");
LOOKOUT_STATIC_ASSERT(offsetof(lookout_sink, open) == 32, "lookout_sink.open");
LOOKOUT_STATIC_ASSERT(offsetof(lookout_sink, close) == 56, "lookout_sink.close");
#endif

#ifdef __cplusplus
}
#endif

#endif
