/*
 * listen.c - the listening socket. Without a host one IPv6 socket serves both families; where the
 * machine has no IPv6, an IPv4 socket takes its place. With a host IPV6_V6ONLY is on, because only
 * that address was asked for. SO_REUSEADDR is set so that a restart need not wait for connections
 * in TIME_WAIT; it does not let two processes share the port.
 *
 * Closing a listening socket resets the connections that the kernel has accepted and the program
 * has not, and those whose handshake is under way. Their clients have sent a request, perhaps, and
 * cannot know what became of it. So before the close a filter drops the first packet (SYN) of every
 * new connection: its client sends that packet again a second later, when the port is closed or the
 * next process listens, and until then it knows that it has no connection.
 */
#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/diag.h"
#include "http/internal.h"

enum { BACKLOG = 4096 };

/* "[::1]" may come with its brackets. */
static void strip_brackets(const char *host, char *ret, size_t size)
{
    size_t length = strlen(host);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']')
        snprintf(ret, size, "%.*s", (int)(length - 2), host + 1);
    else
        snprintf(ret, size, "%s", host);
}

static int listen_on(const struct addrinfo *address, bool any)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    address->ai_protocol);
    if (fd < 0)
        return -1;
    LEAT_ASSERT(address->ai_family == AF_INET || address->ai_family == AF_INET6);
    int on = 1;
    int v6_only = any ? 0 : 1;
    bool failed = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0;
    if (address->ai_family == AF_INET6)
        failed = failed || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only) != 0;
    failed = failed || bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
             listen(fd, BACKLOG) != 0;
    if (!failed)
        return fd;
    int code = errno;
    close(fd);
    errno = code;
    return -1;
}

/* Without a host one socket serves both families; a machine without IPv6 falls back to IPv4. */
static int listen_on_family(const struct addrinfo *addresses, int family, bool any)
{
    for (const struct addrinfo *at = addresses; at; at = at->ai_next) {
        if (family != AF_UNSPEC && at->ai_family != family)
            continue;
        int fd = listen_on(at, any);
        if (fd >= 0)
            return fd;
        if (errno == EADDRINUSE)
            return -1;
    }
    return -1;
}

int http_listen_socket(const leat_http_config *config, leat_error *error)
{
    char host[256];
    char port[16];
    strip_brackets(config->host ? config->host : "", host, sizeof host);
    snprintf(port, sizeof port, "%d", config->port);
    bool any = host[0] == '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    int code = config->port < 0 || config->port > 65535
                   ? EAI_SERVICE
                   : getaddrinfo(any ? NULL : host, port, &hints, &addresses);
    if (code != 0)
        return leat_fail(error, "cannot listen on %s:%s: %s", any ? "*" : host, port,
                         gai_strerror(code));
    int fd = -1;
    errno = EADDRNOTAVAIL;
    if (any)
        fd = listen_on_family(addresses, AF_INET6, true);
    if (fd < 0 && !(any && errno == EADDRINUSE))
        fd = listen_on_family(addresses, any ? AF_INET : AF_UNSPEC, any);
    int failure = errno;
    freeaddrinfo(addresses);
    if (fd < 0 && failure == EADDRINUSE)
        return leat_fail(error, "cannot listen on %s:%s: address in use by another process",
                         any ? "*" : host, port);
    if (fd < 0)
        return leat_fail(error, "cannot listen on %s:%s: %s", any ? "*" : host, port,
                         strerror(failure));
    return fd;
}

void http_listen_last(int fd)
{
    enum { FLAGS_AT = 13, SYN = 0x02, ACK = 0x10 };
    struct sock_filter drops_syn[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS_AT), /* of the TCP header */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN | ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct sock_fprog program = {.len = sizeof drops_syn / sizeof *drops_syn, .filter = drops_syn};
    LEAT_ASSERT(fd >= 0);
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        leat_debug("the last connections cannot be waited for reason=\"%s\"", strerror(errno));
}

int http_socket_port(int fd)
{
    LEAT_ASSERT(fd >= 0);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage room;
    } address;
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
