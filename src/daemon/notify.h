/*
 * notify.h - reports the state of the process to the service manager by the protocol of
 * sd_notify(3): units of Type=notify wait for it.
 *
 * It is one datagram to the socket that $NOTIFY_SOCKET names, so leat does not need libsystemd
 * and runs the same where there is no manager. There are no watchdog messages: the main thread
 * could only vouch for itself, not for edge and workers.
 */
#ifndef LEAT_DAEMON_NOTIFY_H
#define LEAT_DAEMON_NOTIFY_H

#include "base/base.h"

/* Sends assignments, one a line, such as "READY=1\nSTATUS=up". The socket is a file ("/run/...") or
 * abstract ("@..."). True: it was sent. False: there is no $NOTIFY_SOCKET, or it could not be
 * sent (a warning is logged). Any thread. */
bool leat_sd_notify(const char *state);

#endif
