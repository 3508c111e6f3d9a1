#pragma once
#include <microhttpd.h>

/* Calls that are variadic in C, each in the one shape that Swift needs. */

/** The connection's socket, -1 if it has none (MHD_get_connection_info). */
static inline int lookout_mhd_socket(struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  return info ? info->connect_fd : -1;
}

/** The descriptor that becomes readable when the daemon has work, -1 if it has none (MHD_get_daemon_info). */
static inline int lookout_mhd_epoll(struct MHD_Daemon *daemon) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
  return info ? info->epoll_fd : -1;
}
