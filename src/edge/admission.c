/*
 * admission.c - which writes the edge does not take although the log, or the database, would: those
 * of a tenant, a key or a token that writes more often than the configuration allows. Each edge
 * counts for itself, so the limits of several edges add up. A write is counted when it is let
 * through, whatever becomes of it; one that a limit refuses counts against none.
 *
 * Into the log it also takes none of a tenant of which too much waits there already. A write into
 * the database adds nothing to that, and is no matter of it.
 *
 * Nobody writes a line for each refusal: once a minute the one that was refused most often is
 * named, by what the last of its refused writes was called.
 */
#include "edge/internal.h"

#include <string.h>

#include "base/diag.h"

enum { NAMES = 65536, RETRY_MAX_S = 600 };
#define REPORT_EVERY_US (60 * INT64_C(1000000))

/* `key`: the log's key for the name; `message`: why one is refused. */
static const struct {
    const char *name, *key, *message;
} limits[EDGE_LIMIT_COUNT] = {
    [EDGE_LIMIT_TENANT] = {"tenant", "tenant",
                           "this tenant writes more often than limits.tenant allows"},
    [EDGE_LIMIT_KEY] = {"key", "key", "this row is written more often than limits.key allows"},
    [EDGE_LIMIT_TOKEN] = {"token", "client",
                          "this token writes more often than limits.token allows"},
};

void edge_admission_init(leat_edge *edge)
{
    const leat_edge_rate *rates[EDGE_LIMIT_COUNT] = {
        [EDGE_LIMIT_TENANT] = &edge->config.tenant_rate,
        [EDGE_LIMIT_KEY] = &edge->config.key_rate,
        [EDGE_LIMIT_TOKEN] = &edge->config.token_rate};
    edge_admission *own = &edge->admission;
    for (edge_limit i = 0; i < EDGE_LIMIT_COUNT; i++)
        leat_buckets_init(&own->buckets[i], rates[i]->rate, rates[i]->burst, NAMES);
    own->reported_us = leat_mono_us();
}

void edge_admission_fini(leat_edge *edge)
{
    for (edge_limit i = 0; i < EDGE_LIMIT_COUNT; i++)
        leat_buckets_fini(&edge->admission.buckets[i]);
    for (uint32_t i = 0; i < LEAT_SHARDS_MAX; i++)
        leat_control_set_drop(edge->admission.floods[i].set);
}

/* Remembers how a name that was refused is spelled: the table has hashes only. A few at a time, the
 * latest: whoever is refused most often is refused again and again. */
static void note(edge_refused *refused, uint64_t name, leat_slice text)
{
    edge_refused_name *at = &refused->names[name % EDGE_REFUSED_NAMES];
    at->name = name;
    at->size = text.size < sizeof at->text ? (uint32_t)text.size : (uint32_t)sizeof at->text;
    memcpy(at->text, text.data, at->size);
}

/* Whom a limit counts a write for: a hash, and a text that people know it by. */
typedef struct limited_name {
    bool is_limited;
    uint64_t hash;
    leat_slice text;
} limited_name;

edge_policy edge_admission_policy(const leat_edge *edge, edge_limit limit)
{
    const leat_buckets *buckets = &edge->admission.buckets[limit];
    LEAT_ASSERT(buckets->rate > 0);
    return (edge_policy){.name = limits[limit].name,
                         .quota = buckets->burst,
                         .window_s = (buckets->burst + buckets->rate - 1) / buckets->rate};
}

static int64_t whole_seconds(int64_t us)
{
    return (us + 999999) / 1000000;
}

static void refuse(leat_edge *edge, const edge_asker *asker, edge_limit limit,
                   const limited_name *name, int64_t wait_us)
{
    edge_admission *own = &edge->admission;
    int64_t wait_s = whole_seconds(wait_us);
    edge_policy policy = edge_admission_policy(edge, limit);
    note(&own->refused[limit], name->hash, name->text);
    leat_count(edge->metrics.limited[limit], 1);
    edge_refuse_limited(edge, asker, limits[limit].message,
                        wait_s > RETRY_MAX_S ? RETRY_MAX_S : wait_s, &policy);
}

/* One load while the set is the same. */
static const leat_control *find_flood(leat_edge *edge, uint32_t partition, leat_slice tenant,
                                      int64_t now_us)
{
    char room[LEAT_FLOOD_NAME_SIZE];
    leat_controls *floods = edge->config.floods;
    if (!floods || tenant.size == 0)
        return NULL;
    uint32_t shard = leat_layout_shard_of_partition(edge->config.layout, partition);
    edge_floods *own = &edge->admission.floods[shard];
    uint32_t version = leat_controls_version(floods, shard);
    if (version != own->version) {
        leat_control_set_drop(own->set);
        own->set = leat_controls_hold(floods, shard);
        own->version = version;
    }
    return own->set ? leat_control_set_find_tenant(own->set, leat_flood_name(tenant, room), now_us)
                    : NULL;
}

bool edge_admission_takes_shadow(leat_edge *edge, const leat_route *shadow,
                                 const leat_record *record)
{
    leat_slice tenant = leat_route_tenant(shadow, record->key);
    return !find_flood(edge, record->partition, tenant, leat_mono_us());
}

static void refuse_flood(leat_edge *edge, const edge_asker *asker, const leat_control *flood)
{
    bool is_late = strcmp(flood->reason, LEAT_LATE_KIND) == 0;
    leat_count(is_late ? edge->metrics.limited_lag : edge->metrics.limited_parked, 1);
    edge_refuse_limited(edge, asker,
                        is_late ? "writes wait for longer than limits.lag allows, many of them of "
                                  "this tenant; others are accepted"
                                : "too many writes of this tenant wait to be applied; others are "
                                  "accepted",
                        flood->keep < 1             ? 1
                        : flood->keep > RETRY_MAX_S ? RETRY_MAX_S
                                                    : flood->keep,
                        NULL);
}

static void name_all(leat_edge *edge, const edge_asker *asker, leat_slice tenant,
                     limited_name names[EDGE_LIMIT_COUNT])
{
    const leat_buckets *buckets = edge->admission.buckets;
    leat_slice key = {edge->key.canonical, edge->key.canonical_size};
    bool by_tenant = buckets[EDGE_LIMIT_TENANT].rate > 0 && tenant.size > 0;
    const leat_principal *who =
        buckets[EDGE_LIMIT_TOKEN].rate > 0 ? edge_auth_who(edge, asker->request) : NULL;
    names[EDGE_LIMIT_TENANT] = (limited_name){by_tenant, by_tenant ? leat_hash(tenant) : 0, tenant};
    names[EDGE_LIMIT_KEY] = (limited_name){buckets[EDGE_LIMIT_KEY].rate > 0, asker->row, key};
    names[EDGE_LIMIT_TOKEN] =
        (limited_name){who != NULL, who ? who->number : 0, who ? who->name : (leat_slice){"", 0}};
}

/* The first limit that the write is beyond, with the time it has to wait; none: EDGE_LIMIT_COUNT.
 */
static edge_limit take(edge_admission *own, const limited_name names[EDGE_LIMIT_COUNT],
                       int64_t now_us, int64_t *ret_wait_us)
{
    edge_limit at = 0;
    for (*ret_wait_us = 0; at < EDGE_LIMIT_COUNT; at++) {
        if (names[at].is_limited)
            *ret_wait_us = leat_buckets_take(&own->buckets[at], names[at].hash, now_us);
        if (*ret_wait_us > 0)
            break;
    }
    for (edge_limit i = 0; *ret_wait_us > 0 && i < at; i++)
        if (names[i].is_limited)
            leat_buckets_give(&own->buckets[i], names[i].hash);
    return at;
}

/* The limit that lets the fewest through now. */
static edge_left find_left(const edge_admission *own, const limited_name names[EDGE_LIMIT_COUNT],
                           int64_t now_us)
{
    edge_left nearest = {0};
    for (edge_limit i = 0; i < EDGE_LIMIT_COUNT; i++) {
        int64_t full_us;
        if (!names[i].is_limited)
            continue;
        uint64_t count = leat_buckets_left(&own->buckets[i], names[i].hash, now_us, &full_us);
        if (!nearest.is_limited || count < nearest.count)
            nearest = (edge_left){true, i, (uint32_t)count, (uint32_t)whole_seconds(full_us)};
    }
    return nearest;
}

bool edge_admission_admit(leat_edge *edge, edge_write *write)
{
    limited_name names[EDGE_LIMIT_COUNT];
    edge_asker *asker = &write->asker;
    int64_t now_us = write->arrived_us, wait_us; /* it came just now */
    leat_slice key = {edge->key.canonical, edge->key.canonical_size};
    leat_slice tenant = leat_route_tenant(write->route, key);
    const leat_control *flood =
        write->way == LEAT_WAY_LOG ? find_flood(edge, write->partition, tenant, now_us) : NULL;
    if (flood) {
        refuse_flood(edge, asker, flood);
        return false;
    }
    name_all(edge, asker, tenant, names);
    edge_limit beyond = take(&edge->admission, names, now_us, &wait_us);
    if (beyond == EDGE_LIMIT_COUNT) {
        if (!asker->batch)
            asker->left = find_left(&edge->admission, names, now_us);
        return true;
    }
    refuse(edge, asker, beyond, &names[beyond], wait_us);
    return false;
}

static void report(leat_buckets *buckets, const edge_refused *refused, const char *what)
{
    uint64_t name;
    uint32_t count = leat_buckets_worst(buckets, &name);
    if (count == 0)
        return;
    const edge_refused_name *at = &refused->names[name % EDGE_REFUSED_NAMES];
    bool is_known = at->name == name;
    leat_warn("writes are answered 429: more come than the limit allows, and this one is refused "
              "most often %s=%.*s refused=%u",
              what, is_known ? (int)at->size : 1, is_known ? at->text : "?", count);
}

void edge_admission_report(leat_edge *edge)
{
    edge_admission *own = &edge->admission;
    int64_t now_us = leat_mono_us();
    if (now_us - own->reported_us < REPORT_EVERY_US)
        return;
    own->reported_us = now_us;
    for (edge_limit i = 0; i < EDGE_LIMIT_COUNT; i++)
        report(&own->buckets[i], &own->refused[i], limits[i].key);
}
