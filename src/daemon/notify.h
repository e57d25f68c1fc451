/*
 * notify.h - tells the service manager how the process stands: the protocol of sd_notify(3), which
 * units of Type=notify wait for.
 *
 * It is one datagram to the socket that $NOTIFY_SOCKET names, so leat needs no libsystemd for it,
 * and runs the same where there is none. There are no watchdog messages: the main thread could only
 * vouch for itself, not for edge and workers.
 */
#ifndef LEAT_DAEMON_NOTIFY_H
#define LEAT_DAEMON_NOTIFY_H

#include "base/base.h"

/* Sends assignments, one a line, such as "READY=1\nSTATUS=up". The socket is a file ("/run/...") or
 * abstract ("@..."). True when it was sent; false when nobody asked for it, or it could not be
 * sent, which is a warning. Any thread. */
bool leat_notify(const char *state);

#endif
