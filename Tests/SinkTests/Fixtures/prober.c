/* A hostile sink: tries what a plugin has no business with and writes down what the system answered, one "name=errno" a line.
 * Configuration: {"path": "/FOLDER/out/report"}; beside out lie secret and victim. */
#define _GNU_SOURCE
#include "lookout_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

static int while_loading = -1;

static int error_of(long result) { return result < 0 ? errno : 0; }

__attribute__((constructor)) static void load(void) { while_loading = error_of(socket(AF_INET, SOCK_STREAM, 0)); }

static void *nothing(void *argument) { return argument; }

static int open_errno(const char *path, int flags) {
  const int fd = open(path, flags | O_CLOEXEC, 0600);
  const int error = error_of(fd);
  if (fd >= 0) close(fd);
  return error;
}

static void probe(FILE *out, const char *folder) {
  char inside[512], secret[512], victim[512], other[512], link_in[512], memory[64];
  snprintf(inside, sizeof inside, "%s/out/made", folder);
  snprintf(secret, sizeof secret, "%s/secret", folder);
  snprintf(victim, sizeof victim, "%s/victim", folder);
  snprintf(other, sizeof other, "%s/elsewhere", folder);
  snprintf(link_in, sizeof link_in, "%s/out/link", folder);
  snprintf(memory, sizeof memory, "/proc/%d/mem", getppid());
#define SAY(name, value) fprintf(out, name "=%d\n", value)
  SAY("load-socket", while_loading);
  SAY("inet", error_of(socket(AF_INET, SOCK_STREAM, 0)));
  SAY("inet6", error_of(socket(AF_INET6, SOCK_DGRAM, 0)));
  SAY("unix", error_of(socket(AF_UNIX, SOCK_STREAM, 0)));
  SAY("netlink", error_of(socket(AF_NETLINK, SOCK_RAW, 0)));
  SAY("read-secret", open_errno(secret, O_RDONLY));
  SAY("make-elsewhere", open_errno(other, O_WRONLY | O_CREAT));
  SAY("write-victim", open_errno(victim, O_WRONLY));
  SAY("empty-victim", open_errno(victim, O_RDONLY | O_TRUNC));
  SAY("truncate-victim", error_of(truncate(victim, 0)));
  SAY("unlink-victim", error_of(unlink(victim)));
  SAY("rename-victim", error_of(rename(victim, inside)));
  SAY("link-victim", error_of(link(victim, inside)));
  SAY("chmod-victim", error_of(chmod(victim, 0)));
  SAY("chown-victim", error_of(chown(victim, 1, 1)));
  SAY("touch-victim", error_of(utimes(victim, NULL)));
  SAY("symlink", error_of(symlink(victim, link_in)));
  SAY("write-through-symlink", open_errno(link_in, O_WRONLY));
  SAY("fork", error_of(syscall(SYS_fork)));
  SAY("clone", error_of(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
  char *const none[] = {NULL};
  SAY("execute", error_of(execve("/bin/true", none, none)));
  SAY("signal-parent", error_of(kill(getppid(), 0)));
  SAY("trace-parent", error_of(ptrace(PTRACE_ATTACH, getppid(), 0, 0)));
  SAY("memory-of-parent", open_errno(memory, O_RDWR));
  char byte;
  struct iovec here = {&byte, 1}, there = {(void *)4096, 1};
  SAY("read-parent", error_of(process_vm_readv(getppid(), &here, 1, &there, 1, 0)));
  struct rlimit limit = {1, 1};
  SAY("limit-parent", error_of(prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL)));
  SAY("slow-parent", error_of(setpriority(PRIO_PROCESS, (id_t)getppid(), 19)));
  SAY("uring", error_of(syscall(425, 1, NULL)));
  SAY("user-namespace", error_of(unshare(0x10000000)));
  SAY("privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  /* What a plugin needs must go on. */
  SAY("ok-make", open_errno(inside, O_WRONLY | O_CREAT | O_TRUNC));
  SAY("ok-unlink", error_of(unlink(inside)));
  SAY("ok-folder", error_of(mkdir(inside, 0700)));
  SAY("ok-null", open_errno("/dev/null", O_WRONLY));
  SAY("ok-read-etc", open_errno("/etc/passwd", O_RDONLY));
  SAY("ok-pair", error_of(socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){0, 0})));
  SAY("ok-signal-self", error_of(kill(getpid(), 0)));
  pthread_t thread;
  const int made = pthread_create(&thread, NULL, nothing, NULL);
  if (made == 0) pthread_join(thread, NULL);
  SAY("ok-thread", made);
#undef SAY
}

static lookout_status sink_open(const lookout_host *host, lookout_str config, lookout_str position, void **self,
                                lookout_error *error) {
  (void)position;
  char path[512] = "", folder[512] = "";
  const char *start = memmem(config.ptr, config.len, "/", 1);
  if (!start) return LOOKOUT_FATAL;
  const size_t length = strcspn(start, "\"");
  snprintf(path, sizeof path, "%.*s", (int)length, start);
  snprintf(folder, sizeof folder, "%.*s", (int)(length - strlen("/out/report")), start);
  FILE *out = fopen(path, "w");
  if (!out) {
    error->code = errno;
    snprintf(error->text, sizeof error->text, "the report cannot be made");
    return LOOKOUT_FATAL;
  }
  probe(out, folder);
  fclose(out);
  *self = (void *)host;
  return LOOKOUT_OK;
}

static lookout_status sink_write(void *self, const lookout_batch *batch, lookout_verdicts *verdicts,
                                 lookout_error *error) {
  (void)self, (void)batch, (void)verdicts, (void)error;
  return LOOKOUT_OK;
}

static lookout_status sink_flush(void *self, lookout_position *position, lookout_error *error) {
  (void)self, (void)error;
  position->len = 0;
  return LOOKOUT_OK;
}

static void sink_close(void *self) { (void)self; }

__attribute__((visibility("default"))) const lookout_sink *lookout_sink_v1(void) {
  static const lookout_sink table = {
      .struct_size = sizeof(lookout_sink), .abi_major = LOOKOUT_SINK_ABI_MAJOR, .abi_minor = LOOKOUT_SINK_ABI_MINOR,
      .name = "prober", .version = "1", .open = sink_open, .write = sink_write, .flush = sink_flush, .close = sink_close,
  };
  return &table;
}
