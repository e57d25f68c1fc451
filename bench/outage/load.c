/*
 * load.c - who writes how much, where, and which records a partition therefore has.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "outage/world.h"

_Noreturn void die(const char *what)
{
    fprintf(stderr, "leat-outage: %s\n", what);
    exit(2);
}

/* ---- the load ---- */

static uint64_t mix(uint64_t number)
{
    return leat_prng_next(&(leat_prng){number});
}

/* Zipf's weights, each tenant in one shard; then for each shard who has which part of its
 * records. */
static void place_tenants(world *s)
{
    uint32_t count = (uint32_t)s->input.tenants;
    double *sums = leat_must_calloc(s->input.shards, sizeof *sums);
    double *at = leat_must_calloc(s->input.shards, sizeof *at);
    uint32_t *filled = leat_must_calloc(s->input.shards, sizeof *filled);
    double all = 0;
    for (uint32_t i = 0; i < count; i++) {
        double weight = pow(i + 1, -s->input.tenant_skew);
        sums[mix(i) % s->input.shards] += weight;
        all += weight;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t of = (uint32_t)(mix(i) % s->input.shards);
        if (!s->shards[of].guide)
            s->shards[of].guide = leat_must_calloc(GUIDE, sizeof(uint32_t));
        at[of] += pow(i + 1, -s->input.tenant_skew) / sums[of];
        while (filled[of] < GUIDE && (filled[of] + 0.5) / GUIDE < at[of])
            s->shards[of].guide[filled[of]++] = i;
    }
    for (uint32_t i = 0; i < s->input.shards; i++)
        s->shards[i].writes_s = s->input.writes_s * sums[i] / all;
    free(sums);
    free(at);
    free(filled);
}

void make_load(world *s)
{
    s->shards = leat_must_calloc(s->input.shards, sizeof *s->shards);
    for (uint32_t i = 0; i < s->input.shards; i++)
        s->shards[i].writes_s = s->input.writes_s / s->input.shards;
    if (s->input.tenants >= 1)
        place_tenants(s);
    for (uint32_t i = 0; i < s->input.shards; i++)
        s->worst = s->shards[i].writes_s > s->shards[s->worst].writes_s ? i : s->worst;
    s->of_shard = s->plan.partitions / s->input.shards;
    uint32_t count = s->of_shard * s->input.shards;
    s->partitions = leat_must_calloc(count, sizeof *s->partitions);
    for (uint32_t i = 0; i < count; i++) {
        partition *p = &s->partitions[i];
        *p = (partition){.shard = i / s->of_shard, .low = -1, .newest = -1, .seen_low = -1};
        p->rate_us = s->shards[p->shard].writes_s / s->of_shard / 1e6;
        for (uint32_t k = 0; k < SUBPARTITIONS; k++)
            p->offsets[k] = -1;
    }
}

int64_t arrival_us(const partition *p, int64_t offset)
{
    return (int64_t)ceil((double)(offset + 1) / p->rate_us);
}

int64_t log_end(const partition *p, int64_t now_us)
{
    return (int64_t)floor((double)now_us * p->rate_us);
}

/* ---- the records ---- */

origin origin_of(const worker *w, uint32_t number, int64_t offset)
{
    const world *s = w->world;
    uint64_t row = mix((uint64_t)offset * 1021 + number);
    uint64_t keys = (uint64_t)(s->input.keys / (s->input.shards * s->of_shard));
    if (keys > 0)
        row = mix(row % keys * 1021 + number);
    const uint32_t *guide = s->shards[w->partitions[number]->shard].guide;
    uint64_t tenant = guide ? guide[row % GUIDE] + UINT64_C(1) : 0;
    uint64_t window = tenant ? mix(tenant) + (row >> 32) % WINDOW : row >> 32;
    return (origin){row, tenant, (uint32_t)(window % SUBPARTITIONS)};
}

/* True: it is the batch's first record of the row. */
static bool is_new(worker *w, uint64_t row)
{
    uint64_t at = row % SEEN_MAX;
    for (; w->seen[at].batch == w->batches; at = (at + 1) % SEEN_MAX)
        if (w->seen[at].row == row)
            return false;
    w->seen[at] = (seen){row, w->batches};
    return true;
}

/* What is left after folding. */
uint32_t rows_of(worker *w, const leat_engine_batch *batch)
{
    uint32_t rows = 0;
    if (w->world->input.keys < 1)
        return batch->record_count;
    if (batch->record_count > SEEN_MAX / 2)
        die("a batch has too many records");
    w->batches++;
    for (uint32_t i = 0; i < batch->record_count; i++)
        rows += is_new(w, origin_of(w, batch->records[i].partition, batch->records[i].offset).row);
    return rows;
}
