/*
 * admission.c - which writes the edge does not take although the log would: those of a tenant or a
 * key that writes more often than the configuration allows. Each edge counts for itself, so the
 * limits of several edges add up. A write is counted when it is let through, whatever becomes of
 * it.
 *
 * Nobody writes a line for each refusal: once a minute the one that was refused most often is
 * named, by what the last of its refused writes was called.
 */
#include "edge/internal.h"

#include <string.h>

#include "base/diag.h"

enum { NAMES = 65536, RETRY_MAX_S = 600 };
#define REPORT_EVERY_US (60 * INT64_C(1000000))

void edge_admission_init(leat_edge *edge)
{
    const leat_edge_rate *tenant = &edge->config.tenant_rate, *key = &edge->config.key_rate;
    edge_admission *own = &edge->admission;
    leat_buckets_init(&own->tenants, tenant->rate, tenant->burst, NAMES);
    leat_buckets_init(&own->keys, key->rate, key->burst, NAMES);
    own->reported_us = leat_mono_us();
}

void edge_admission_fini(leat_edge *edge)
{
    leat_buckets_fini(&edge->admission.tenants);
    leat_buckets_fini(&edge->admission.keys);
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

static void refuse(leat_edge *edge, const edge_asker *asker, bool is_tenant, uint64_t name,
                   leat_slice text, int64_t wait_us)
{
    edge_admission *own = &edge->admission;
    int64_t wait_s = (wait_us + 999999) / 1000000;
    note(is_tenant ? &own->refused_tenants : &own->refused_keys, name, text);
    leat_count(is_tenant ? edge->metrics.limited_tenant : edge->metrics.limited_key, 1);
    edge_refuse_limited(edge, asker,
                        is_tenant ? "this tenant writes more often than limits.tenant allows"
                                  : "this row is written more often than limits.key allows",
                        wait_s > RETRY_MAX_S ? RETRY_MAX_S : wait_s);
}

/* One load while the set is the same. */
static const leat_control *find_flood(leat_edge *edge, uint32_t partition, leat_slice tenant,
                                      int64_t now_us)
{
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
    return own->set ? leat_control_set_find_tenant(own->set, tenant, now_us) : NULL;
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
                                                    : flood->keep);
}

bool edge_admission_admit(leat_edge *edge, const edge_asker *asker, const leat_route *route,
                          uint32_t partition)
{
    edge_admission *own = &edge->admission;
    int64_t now_us = leat_mono_us();
    leat_slice key = {edge->key.canonical, edge->key.canonical_size};
    leat_slice tenant = leat_route_tenant(route, key);
    const leat_control *flood = find_flood(edge, partition, tenant, now_us);
    if (flood) {
        refuse_flood(edge, asker, flood);
        return false;
    }
    bool of_tenant = own->tenants.rate > 0 && tenant.size > 0;
    uint64_t tenant_name = of_tenant ? leat_hash(tenant) : 0;
    int64_t wait_us = of_tenant ? leat_buckets_take(&own->tenants, tenant_name, now_us) : 0;
    if (wait_us > 0) {
        refuse(edge, asker, true, tenant_name, tenant, wait_us);
        return false;
    }
    uint64_t name = own->keys.rate > 0 ? edge->key.hash ^ (uint64_t)route->table_index << 32 : 0;
    wait_us = own->keys.rate > 0 ? leat_buckets_take(&own->keys, name, now_us) : 0;
    if (wait_us == 0)
        return true;
    if (of_tenant)
        leat_buckets_give(&own->tenants, tenant_name);
    refuse(edge, asker, false, name, key, wait_us);
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
    report(&own->tenants, &own->refused_tenants, "tenant");
    report(&own->keys, &own->refused_keys, "key");
}
