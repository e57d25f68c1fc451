/*
 * hosts.c - the list of places, read again for each attempt because a service file, the environment
 * or DNS may have changed. libpq itself gives the settings that it would use: it is made to resolve
 * them with an sslmode that stops it before it connects. Lookups outlive an attempt: a slow one
 * serves the next attempt instead of being started again.
 */
#include "sink/pg/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sink/pg/lookup.h"

enum {
    SEVERAL_LIMIT_MS = 5000,
    HOSTS_MAX = 64,
    LATE_MAX_US = 30000000, /* a lookup that came too late for one attempt serves the next one, if
                               that begins within this time */
};

/* One of the DSN's hosts. */
typedef struct pg_host {
    char *host, *hostaddr, *port; /* NULL: libpq's own */
    leat_lookup *lookup;          /* under way, perhaps since an earlier attempt */
    bool is_name;                 /* it has to be looked up */
    bool is_looked_up;            /* it was in this attempt */
    leat_addresses addresses;
    uint32_t tried; /* of the addresses */
    bool is_over;
} pg_host;

struct leat_pg_hosts {
    leat_pg_dsn *dsn;
    uint32_t count;
    pg_host *hosts;
    uint32_t at; /* the last place */
    int wake_fd;
};

leat_pg_hosts *leat_pg_hosts_new(leat_pg_dsn *dsn)
{
    LEAT_ASSERT(dsn);
    leat_pg_hosts *hosts = leat_must_calloc(1, sizeof *hosts);
    hosts->dsn = dsn;
    hosts->wake_fd = -1;
    return hosts;
}

/* ---- the list ---- */

static void clear_host(pg_host *host)
{
    leat_lookup_drop(host->lookup);
    free(host->host);
    free(host->hostaddr);
    free(host->port);
}

static void clear_hosts(leat_pg_hosts *hosts)
{
    for (uint32_t i = 0; i < hosts->count; i++)
        clear_host(&hosts->hosts[i]);
    free(hosts->hosts);
    hosts->hosts = NULL;
    hosts->count = 0;
}

void leat_pg_hosts_free(leat_pg_hosts *hosts)
{
    if (!hosts)
        return;
    leat_pg_hosts_end(hosts, false);
    clear_hosts(hosts);
    free(hosts);
}

static uint32_t count_parts(const char *list)
{
    uint32_t count = 1;
    for (const char *at = list; at && *at; at++)
        count += *at == ',';
    return count;
}

/* Part `index` of a list with commas; NULL where it is empty or there is no list. */
static char *part(const char *list, uint32_t index)
{
    while (list && index-- > 0) {
        list = strchr(list, ',');
        list = list ? list + 1 : NULL;
    }
    size_t size = list ? strcspn(list, ",") : 0;
    if (size == 0)
        return NULL;
    char *text = leat_must_calloc(size + 1, 1);
    memcpy(text, list, size);
    return text;
}

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1 ||
           strchr(host, '%') != NULL;
}

/* A directory of a Unix socket, or an abstract one. */
static bool is_socket(const char *host)
{
    return host[0] == '/' || host[0] == '@';
}

/* Takes over the lookup of the same name from the list before. `host` is a name, as is each host
 * with a lookup. */
static void take_lookup(leat_pg_hosts *from, pg_host *host)
{
    LEAT_ASSERT(host->is_name && host->host);
    for (uint32_t i = 0; i < from->count && !host->lookup; i++) {
        if (!from->hosts[i].lookup || strcmp(from->hosts[i].host, host->host) != 0)
            continue;
        leat_addresses late;
        if (leat_lookup_take(from->hosts[i].lookup, &late) &&
            leat_mono_us() - late.found_us > LATE_MAX_US)
            continue;
        host->lookup = from->hosts[i].lookup;
        from->hosts[i].lookup = NULL;
    }
}

static void make_list(leat_pg_hosts *hosts, const char *names, const char *addresses,
                      const char *ports)
{
    leat_pg_hosts before = *hosts;
    bool has_addresses = addresses && addresses[0];
    uint32_t count = count_parts(has_addresses ? addresses : names),
             ports_count = count_parts(ports);
    bool is_odd = count > HOSTS_MAX ||
                  (has_addresses && names && names[0] && count_parts(names) != count) ||
                  (ports_count != 1 && ports_count != count);
    hosts->count = is_odd ? 1 : count;
    hosts->hosts = leat_must_calloc(hosts->count, sizeof *hosts->hosts);
    for (uint32_t i = 0; i < hosts->count && !is_odd; i++) { /* libpq itself reports a bad value */
        pg_host *host = &hosts->hosts[i];
        host->host = part(names, i);
        host->hostaddr = part(addresses, i);
        host->port = part(ports, ports_count > 1 ? i : 0);
        host->is_name = host->host && !host->hostaddr && !is_socket(host->host) &&
                        !is_address(host->host);
        if (host->is_name)
            take_lookup(&before, host);
    }
    clear_hosts(&before);
    LEAT_ASSERT(hosts->count > 0);
}

/* libpq resolves all its settings and then stops at an sslmode that does not exist, before it looks
 * anything up. With a password it reads no password file. */
static PQconninfoOption *effective_options(const leat_pg_dsn *dsn)
{
    static const char *const stop_keywords[] = {"password", "sslmode", NULL};
    static const char *const stop_values[] = {"none", "read no further", NULL};
    const char *keywords[LEAT_PG_DSN_PARAMS_MAX + 1], *values[LEAT_PG_DSN_PARAMS_MAX + 1];
    leat_pg_dsn_fill(dsn, stop_keywords, stop_values, keywords, values);
    PGconn *pg = PQconnectStartParams(keywords, values, 0);
    PQconninfoOption *options = pg ? PQconninfo(pg) : NULL;
    PQfinish(pg);
    return options;
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (const PQconninfoOption *option = options; option && option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val;
    return NULL;
}

static void look_up(leat_pg_hosts *hosts, pg_host *host)
{
    LEAT_ASSERT(host->is_name && !host->is_over);
    if (hosts->wake_fd < 0)
        hosts->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (hosts->wake_fd < 0) {
        snprintf(host->addresses.error, sizeof host->addresses.error, "eventfd: %s",
                 strerror(errno));
        host->is_over = true;
    } else if (host->lookup) {
        leat_lookup_wake(host->lookup, hosts->wake_fd);
    } else if (!(host->lookup = leat_lookup_start(host->host, hosts->wake_fd))) {
        snprintf(host->addresses.error, sizeof host->addresses.error,
                 "no memory or no thread to look it up");
        host->is_over = true;
    }
}

void leat_pg_hosts_begin(leat_pg_hosts *hosts)
{
    LEAT_ASSERT(hosts->wake_fd < 0);
    PQconninfoOption *options = effective_options(hosts->dsn);
    /* Where libpq stopped earlier (an unknown service) it is called with the whole DSN, and reports
     * why. */
    bool is_read = value_of(options, "sslmode") &&
                   strcmp(value_of(options, "sslmode"), "read no further") == 0;
    if (is_read)
        make_list(hosts, value_of(options, "host"), value_of(options, "hostaddr"),
                  value_of(options, "port"));
    else
        make_list(hosts, NULL, NULL, NULL);
    PQconninfoFree(options);
    for (uint32_t i = 0; i < hosts->count; i++)
        if (hosts->hosts[i].is_name)
            look_up(hosts, &hosts->hosts[i]);
}

/* ---- going through it ---- */

/* Moves the address that last succeeded to the front. */
static void put_first(leat_addresses *addresses, const char *good)
{
    LEAT_ASSERT(addresses->count <= LEAT_LOOKUP_ADDRESSES);
    char text[LEAT_ADDRESS_SIZE];
    for (uint32_t i = 1; i < addresses->count; i++) {
        if (strcmp(addresses->text[i], good) != 0)
            continue;
        memcpy(text, addresses->text[i], sizeof text);
        memmove(addresses->text[1], addresses->text[0], i * sizeof addresses->text[0]);
        memcpy(addresses->text[0], text, sizeof text);
    }
}

static void take_addresses(leat_pg_hosts *hosts, uint32_t at)
{
    LEAT_ASSERT(at < hosts->count);
    pg_host *host = &hosts->hosts[at];
    if (!host->lookup || !leat_lookup_take(host->lookup, &host->addresses))
        return;
    leat_lookup_drop(host->lookup);
    host->lookup = NULL;
    host->is_looked_up = true;
    host->is_over = host->addresses.count == 0;
    if (at == leat_pg_dsn_good(hosts->dsn)->host)
        put_first(&host->addresses, leat_pg_dsn_good(hosts->dsn)->address);
}

static bool is_ready(const pg_host *host)
{
    return !host->is_over && (!host->is_name || host->is_looked_up);
}

static leat_pg_place next_of(pg_host *host)
{
    LEAT_ASSERT(!host->is_over);
    LEAT_ASSERT(!host->is_name || host->tried < host->addresses.count);
    leat_pg_place place = {host->host, host->hostaddr, host->port};
    if (host->is_name)
        place.hostaddr = host->addresses.text[host->tried++];
    host->is_over = !host->is_name || host->tried == host->addresses.count;
    return place;
}

leat_pg_hosts_step leat_pg_hosts_next(leat_pg_hosts *hosts, leat_pg_place *ret)
{
    bool is_looking = false;
    uint64_t count;
    if (hosts->wake_fd >= 0)
        (void)!read(hosts->wake_fd, &count, sizeof count);
    for (uint32_t i = 0; i < hosts->count; i++) {
        uint32_t at = (leat_pg_dsn_good(hosts->dsn)->host + i) % hosts->count;
        if (hosts->hosts[at].is_over)
            continue;
        take_addresses(hosts, at);
        if (is_ready(&hosts->hosts[at])) {
            hosts->at = at;
            *ret = next_of(&hosts->hosts[at]);
            return LEAT_PG_HOSTS_PLACE;
        }
        is_looking = is_looking || hosts->hosts[at].lookup;
    }
    return is_looking ? LEAT_PG_HOSTS_WAIT : LEAT_PG_HOSTS_END;
}

int leat_pg_hosts_fd(const leat_pg_hosts *hosts)
{
    return hosts->wake_fd;
}

void leat_pg_hosts_give_up(leat_pg_hosts *hosts)
{
    for (uint32_t i = 0; i < hosts->count; i++) {
        pg_host *host = &hosts->hosts[i];
        if (host->is_over || !host->lookup)
            continue;
        host->is_over = true;
        snprintf(host->addresses.error, sizeof host->addresses.error, "no answer within %lld s",
                 (long long)(leat_pg_hosts_limit_ms(hosts) / 1000));
    }
}

void leat_pg_hosts_append(char *text, size_t size, const char *message)
{
    size_t used = strlen(text);
    if (used > 0 && used + 3 < size)
        used += (size_t)snprintf(text + used, size - used, "; ");
    for (; *message && used + 1 < size; message++) {
        bool is_space = *message == '\n' || *message == '\t' || *message == ' ';
        if (!is_space)
            text[used++] = *message;
        else if (used > 0 && text[used - 1] != ' ')
            text[used++] = ' ';
    }
    while (used > 0 && text[used - 1] == ' ')
        used--;
    LEAT_ASSERT(used < size);
    text[used] = '\0';
}

void leat_pg_hosts_append_failures(const leat_pg_hosts *hosts, char *text, size_t size)
{
    for (uint32_t i = 0; i < hosts->count; i++) {
        const pg_host *host = &hosts->hosts[i];
        char message[512];
        if (!host->addresses.error[0])
            continue;
        snprintf(message, sizeof message, "the host name \"%.200s\" cannot be looked up: %s",
                 host->host, host->addresses.error);
        leat_pg_hosts_append(text, size, message);
    }
}

static const char *address_at(const pg_host *host)
{
    return host->is_name && host->tried > 0 ? host->addresses.text[host->tried - 1] : "";
}

bool leat_pg_hosts_is_at_good(const leat_pg_hosts *hosts)
{
    const leat_pg_dsn_place *good = leat_pg_dsn_good(hosts->dsn);
    if (hosts->at != good->host || hosts->at >= hosts->count)
        return false;
    return !good->address[0] || strcmp(address_at(&hosts->hosts[hosts->at]), good->address) == 0;
}

static void remember(leat_pg_hosts *hosts)
{
    LEAT_ASSERT(hosts->at < hosts->count);
    leat_pg_dsn_place *good = leat_pg_dsn_good(hosts->dsn);
    good->host = hosts->at;
    snprintf(good->address, sizeof good->address, "%s", address_at(&hosts->hosts[hosts->at]));
}

void leat_pg_hosts_end(leat_pg_hosts *hosts, bool is_good)
{
    if (is_good && hosts->count > 0)
        remember(hosts);
    for (uint32_t i = 0; i < hosts->count; i++)
        if (hosts->hosts[i].lookup)
            leat_lookup_wake(hosts->hosts[i].lookup, -1);
    if (hosts->wake_fd >= 0)
        close(hosts->wake_fd);
    hosts->wake_fd = -1;
}

static uint32_t count_places(const leat_pg_hosts *hosts)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < hosts->count; i++)
        count += hosts->hosts[i].addresses.count > 1 ? hosts->hosts[i].addresses.count : 1;
    return count;
}

int64_t leat_pg_hosts_limit_ms(const leat_pg_hosts *hosts)
{
    int64_t limit_ms = leat_pg_dsn_connect_timeout_ms(hosts->dsn);
    bool is_shorter = !leat_pg_dsn_has_connect_timeout(hosts->dsn) && limit_ms > SEVERAL_LIMIT_MS &&
                      count_places(hosts) > 1;
    LEAT_ASSERT(limit_ms > 0);
    return is_shorter ? SEVERAL_LIMIT_MS : limit_ms;
}

PGconn *leat_pg_hosts_connect(const leat_pg_hosts *hosts, const leat_pg_place *place)
{
    const char *keywords[LEAT_PG_DSN_PARAMS_MAX + 1], *values[LEAT_PG_DSN_PARAMS_MAX + 1];
    const char *const place_keywords[] = {"host", "hostaddr", "port", NULL};
    const char *const place_values[] = {place->host, place->hostaddr, place->port, NULL};
    bool is_odd = !place->host && !place->hostaddr && !place->port;
    leat_pg_dsn_fill(hosts->dsn, is_odd ? NULL : place_keywords, place_values, keywords, values);
    return PQconnectStartParams(keywords, values, 0);
}
