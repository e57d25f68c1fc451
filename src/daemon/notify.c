/*
 * notify.c - sd_notify(3) in a few lines: one datagram. A service manager that cannot be reached is
 * a warning, never a reason to end: leat serves whether or not it is watched. $NOTIFY_SOCKET is
 * read for each message, so nothing has to be kept or closed.
 */
#include "daemon/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/diag.h"

/* An abstract name begins with a zero byte, shown as '@', and ends where the address ends. */
static int make_address(const char *name, struct sockaddr_un *ret_address, socklen_t *ret_size)
{
    size_t size = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof ret_address->sun_path)
        return EINVAL;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, name, size);
    if (name[0] == '@')
        ret_address->sun_path[0] = '\0';
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    return 0;
}

/* 0 or an errno. */
static int send_state(const char *name, const char *state)
{
    struct sockaddr_un address;
    socklen_t size;
    int code = make_address(name, &address, &size);
    if (code != 0)
        return code;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    ssize_t sent =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    code = sent < 0 ? errno : 0;
    close(fd);
    return code;
}

bool leat_sd_notify(const char *state)
{
    const char *name = getenv("NOTIFY_SOCKET");
    if (!name || !*name)
        return false;
    int code = send_state(name, state);
    if (code != 0)
        leat_warn("service manager not notified socket=%s state=\"%s\" reason=\"%s\"", name, state,
                  strerror(code));
    return code == 0;
}
