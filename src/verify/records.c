/*
 * A record's way through a walk. It is decoded as a worker decodes it, and asked about together
 * with some hundred others of its shard, because a question costs a round trip. Then it goes to its
 * key, in the order of the log: a shard's batch keeps it, and a key has one shard.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "record/idempotency.h"
#include "verify/internal.h"

enum {
    POLL_MS = 200,
    STARTS_MS = 20000,
    TELL_EVERY_US = 200000,
    SPREAD_SEED = 0x7665726966,
    KEY_PART = 8,
};

void verify_records_free(verify_record *first)
{
    while (first) {
        verify_record *next = first->next;
        free(first);
        first = next;
    }
}

/* ---- what became of it ---- */

static leat_fate fate_of(const verify_record *record, const leat_write_answer *answer)
{
    static const leat_fate fates[LEAT_WRITE_STATE_COUNT] = {
        [LEAT_WRITE_PENDING] = LEAT_FATE_WAITING, [LEAT_WRITE_APPLIED] = LEAT_FATE_APPLIED,
        [LEAT_WRITE_HELD] = LEAT_FATE_HELD,       [LEAT_WRITE_DEAD_LETTER] = LEAT_FATE_DEAD_LETTER,
        [LEAT_WRITE_SKIPPED] = LEAT_FATE_SKIPPED,
    };
    if (answer->state != LEAT_WRITE_APPLIED)
        return fates[answer->state];
    if (answer->was_removed)
        return LEAT_FATE_REMOVED;
    return record->route ? LEAT_FATE_APPLIED : LEAT_FATE_UNREADABLE;
}

static void find_removed(leat_verify *v, uint32_t shard, const verify_record *record,
                         const leat_write_answer *answer)
{
    char detail[sizeof answer->message + 40];
    snprintf(detail, sizeof detail, "its dead letter was deleted at %s", answer->message);
    leat_verify_finding finding = {.kind = LEAT_FINDING_REMOVED,
                                   .partition = record->partition,
                                   .offset = record->offset,
                                   .table = record->route ? record->route->table->label : NULL,
                                   .key = record->key,
                                   .columns = "",
                                   .detail = detail};
    verify_find(v, &finding, shard);
}

static bool will_count(const leat_verify *v, const verify_record *record)
{
    return !record->is_counted && record->is_in_range && v->is_first;
}

/* What is told of a removal is here only now. Once: a record that is removed is counted as that
 * before it may be asked about again. */
static void take_answer(leat_verify *v, uint32_t shard, verify_record *record,
                        const leat_write_answer *answer)
{
    record->fate = fate_of(record, answer);
    if (record->fate == LEAT_FATE_REMOVED && will_count(v, record))
        find_removed(v, shard, record, answer);
}

int verify_ask(leat_verify *v, uint32_t shard, verify_record *const *records, uint32_t count)
{
    static leat_write_question questions[LEAT_AUDIT_WRITES_MAX];
    static leat_write_answer answers[LEAT_AUDIT_WRITES_MAX];
    LEAT_ASSERT(count > 0 && count <= LEAT_AUDIT_WRITES_MAX);
    for (uint32_t i = 0; i < count; i++)
        questions[i] = (leat_write_question){.place = {.partition = records[i]->partition,
                                                       .subpartition = records[i]->subpartition,
                                                       .offset = records[i]->offset,
                                                       .key = records[i]->held_hash}};
    if (leat_shard_audit_writes(v->shards[shard].audit, questions, count, answers, v->error) != 0)
        return leat_fail_prefix(v->error, "shard %s", v->config->shards[shard].name);
    for (uint32_t i = 0; i < count; i++)
        take_answer(v, shard, records[i], &answers[i]);
    return 0;
}

void verify_count(leat_verify *v, verify_record *record)
{
    if (!will_count(v, record))
        return;
    record->is_counted = true;
    v->result->records[record->fate]++;
}

/* ---- to its key ---- */

static bool is_decided(leat_fate fate)
{
    return fate != LEAT_FATE_WAITING && fate != LEAT_FATE_PARKED && fate != LEAT_FATE_HELD;
}

static void keep_waiting(leat_verify *v, verify_key *key, verify_record *record)
{
    if (key->doubt == VERIFY_TOO_MUCH) {
        verify_count(v, record);
        free(record);
        return;
    }
    verify_key_wait(v, key, record);
    if (key->waiting_bytes <= v->config->memory / KEY_PART)
        return;
    key->doubt = VERIFY_TOO_MUCH;
    for (verify_record *at = key->waiting; at; at = at->next)
        verify_count(v, at);
    verify_key_drop_waiting(v, key);
}

/* Takes the record. */
static int hand_over(leat_verify *v, verify_record *record)
{
    verify_key *key = NULL;
    if (record->route && verify_is_in_share(v, record->spread)) {
        key = verify_keys_find(v, record, record->is_in_range);
        if (!key && record->is_in_range)
            return -1;
    }
    if (!key || is_decided(record->fate))
        verify_count(v, record);
    if (key && record->fate == LEAT_FATE_SKIPPED)
        verify_key_skip(key);
    if (key && (key->waiting || !is_decided(record->fate))) {
        keep_waiting(v, key, record);
        return 0;
    }
    int status = key && record->fate == LEAT_FATE_APPLIED ? verify_key_follow(v, key, record) : 0;
    free(record);
    return status;
}

/* Half of the keys are left to a later walk. */
static int split(leat_verify *v)
{
    uint64_t bit = v->share.mask + 1;
    if (v->stack_count == VERIFY_STACK_MAX || bit >= (uint64_t)1 << 24)
        return leat_fail(v->error, "the keys need more memory than --memory allows");
    v->stack[v->stack_count++] = (verify_share){v->share.mask | bit, v->share.bits | bit};
    v->share.mask |= bit;
    v->progress.walks++;
    for (uint32_t p = 0; p < v->config->layout->partition_count; p++)
        if (v->spans[p].to > v->spans[p].from)
            v->progress.planned += (uint64_t)(v->spans[p].to - v->spans[p].from);
    verify_keys_narrow(v);
    return 0;
}

static int hand_over_all(leat_verify *v, verify_record *first)
{
    int status = 0;
    while (first) {
        verify_record *next = first->next;
        if (status == 0)
            status = hand_over(v, first);
        else
            free(first);
        while (status == 0 && v->keys.bytes > v->config->memory)
            status = split(v);
        first = next;
    }
    return status;
}

/* ---- batches ---- */

static int flush(leat_verify *v, uint32_t shard)
{
    verify_batch *batch = &v->shards[shard].batch;
    verify_record *records[VERIFY_BATCH_RECORDS], *first = batch->first;
    uint32_t count = 0;
    if (batch->count == 0)
        return 0;
    for (verify_record *at = first; at; at = at->next)
        records[count++] = at;
    LEAT_ASSERT(count == batch->count);
    *batch = (verify_batch){0};
    batch->end = &batch->first;
    int status = leat_shard_audit_begin(v->shards[shard].audit, v->error);
    if (status != 0)
        leat_fail_prefix(v->error, "shard %s", v->config->shards[shard].name);
    else
        status = verify_ask(v, shard, records, count);
    leat_shard_audit_end(v->shards[shard].audit);
    if (status == 0)
        return hand_over_all(v, first);
    verify_records_free(first);
    return -1;
}

static int flush_all(leat_verify *v)
{
    for (uint32_t shard = 0; shard < v->config->shard_count; shard++)
        if (flush(v, shard) != 0)
            return -1;
    return 0;
}

/* ---- from the log ---- */

static bool is_wanted(const leat_verify *v, const leat_item *item, uint64_t spread)
{
    const leat_verify_config *config = v->config;
    if (spread % 1000000 >= config->sample_ppm)
        return false;
    if (!v->is_first && !verify_is_in_share(v, spread))
        return false;
    return !config->tenant.data ||
           (item->route &&
            leat_slice_equal(leat_route_tenant(item->route, item->canonical_key), config->tenant));
}

static verify_record *copy_item(leat_verify *v, const leat_item *item, uint64_t spread)
{
    leat_slice key = item->canonical_key, value = item->record.value;
    const leat_log_span *span = &v->spans[item->record.partition];
    verify_record *ret = malloc(sizeof *ret + key.size + value.size);
    if (!ret)
        return NULL;
    *ret = (verify_record){.route = item->fault ? NULL : item->route,
                           .op = item->op,
                           .partition = item->record.partition,
                           .subpartition = item->subpartition,
                           .offset = item->record.offset,
                           .held_hash = leat_item_held_hash(item),
                           .spread = spread,
                           .accepted_ms = item->record.accepted_ms};
    leat_slice once;
    if (leat_idempotency_has_key(item) &&
        !leat_idempotency_key_read(item->record.idempotency, &once)) {
        ret->once = leat_hash(once);
        ret->once += ret->once == 0;
    }
    v->was_late[ret->partition] |= item->record.accepted_ms >= v->config->until_ms;
    ret->is_in_range = ret->offset >= span->from && ret->offset < span->to &&
                       item->record.accepted_ms >= v->config->since_ms &&
                       item->record.accepted_ms < v->config->until_ms;
    ret->key = (leat_slice){ret->bytes, key.size};
    ret->value = (leat_slice){ret->bytes + key.size, value.size};
    if (key.size > 0)
        memcpy(ret->bytes, key.data, key.size);
    if (value.size > 0)
        memcpy(ret->bytes + key.size, value.data, value.size);
    return ret;
}

/* Past the range only keys that were met count, and the moment is open already. */
static int take_late(leat_verify *v, verify_record *record)
{
    verify_key *key = record->route ? verify_keys_find(v, record, false) : NULL;
    record->is_in_range = false;
    if (key)
        keep_waiting(v, key, record);
    else
        free(record);
    return 0;
}

static int take_copy(leat_verify *v, uint32_t shard, verify_record *record)
{
    verify_batch *batch = &v->shards[shard].batch;
    *batch->end = record;
    batch->end = &record->next;
    batch->count++;
    batch->bytes += sizeof *record + record->key.size + record->value.size;
    return batch->count == VERIFY_BATCH_RECORDS || batch->bytes >= VERIFY_BATCH_BYTES
               ? flush(v, shard)
               : 0;
}

static int take(leat_verify *v, const leat_record *record)
{
    uint32_t shard = leat_layout_shard_of_partition(v->config->layout, record->partition);
    leat_item item = {.record = *record};
    verify_record *copy = NULL;
    if (v->begun_ms[record->partition] < 0)
        v->begun_ms[record->partition] = record->accepted_ms;
    if (leat_item_decode(v->config->shards[shard].routes,
                         &v->config->shards[shard].source.placement, &item) != 0)
        return leat_fail(v->error, "out of memory");
    leat_slice key = item.canonical_key.data ? item.canonical_key : record->key;
    uint64_t spread = leat_hash_seeded(key, SPREAD_SEED);
    bool wanted = is_wanted(v, &item, spread);
    if (wanted)
        copy = copy_item(v, &item, spread);
    leat_item_clear(&item);
    if (!wanted)
        return 0;
    if (!copy)
        return leat_fail(v->error, "out of memory");
    return v->is_late ? take_late(v, copy) : take_copy(v, shard, copy);
}

/* ---- the walk ---- */

static void keep_pace(leat_verify *v)
{
    uint32_t rate = v->config->records_per_s;
    if (rate == 0 || !v->is_paced || v->progress.read % 100 != 0)
        return;
    int64_t due_us = v->paced_us + (int64_t)(100 * 1000000ll / rate);
    int64_t left_us = due_us - leat_mono_us();
    if (left_us > 0) {
        struct timespec pause = {left_us / 1000000, left_us % 1000000 * 1000};
        nanosleep(&pause, NULL);
    }
    v->paced_us = leat_mono_us();
}

static void tell(leat_verify *v)
{
    int64_t now_us = leat_mono_us();
    if (now_us - v->told_us < TELL_EVERY_US)
        return;
    v->told_us = now_us;
    v->progress.keys = v->keys.count;
    v->config->on_progress(v->config->context, &v->progress);
}

/* 0: all is read; 3 and -1 as of leat_log_walk_next, `ret_gone` is where the records are gone. */
static int read_all(leat_verify *v, leat_log_walk *walk, leat_record *ret_gone)
{
    leat_record record;
    int got, silent_ms = 0;
    while ((got = leat_log_walk_next(walk, POLL_MS, &record, v->error)) == 1 || got == 2) {
        silent_ms = got == 2 ? silent_ms + POLL_MS : 0;
        if (silent_ms >= VERIFY_SILENCE_MS)
            return leat_fail(v->error, "the log has not answered for %d s",
                             VERIFY_SILENCE_MS / 1000);
        tell(v);
        if (got == 2)
            continue;
        LEAT_ASSERT(record.partition < v->config->layout->partition_count);
        v->walked[record.partition] = record.offset + 1;
        v->progress.read++;
        if (take(v, &record) != 0)
            return -1;
        keep_pace(v);
    }
    if (got == 3)
        *ret_gone = record;
    return got;
}

/* Goes on where the log begins now. The records before the gap go to their keys first. A log that
 * has not moved is not one whose retention was at work: `v->error` has why it cannot be read. */
static int pass_gap(leat_verify *v, const leat_record *gone, int64_t to)
{
    const uint32_t count = v->config->layout->partition_count, partition = gone->partition;
    int64_t *starts = leat_must_calloc(count, sizeof *starts), *walked = &v->walked[partition];
    leat_error error;
    int status = leat_log_starts(v->config->log, count, STARTS_MS, starts, &error);
    int64_t start = status == 0 ? starts[partition] : 0;
    free(starts);
    if (status != 0 || start <= gone->offset)
        return -1;
    if (flush_all(v) != 0)
        return -1;
    int64_t end = start < to ? start : to;
    if (v->is_first && !v->is_late)
        v->result->offsets_gone += (uint64_t)(end - *walked);
    *walked = end;
    v->starts[partition] = start;
    v->begun_ms[partition] = -1;
    verify_keys_forget(v, partition);
    return 0;
}

/* One walk of the log: 0, 3 or -1 as read_all. */
static int walk_spans(leat_verify *v, const leat_log_span *spans, leat_record *ret_gone)
{
    uint32_t count = v->config->layout->partition_count;
    leat_log_walk *walk = leat_log_walk_new(v->config->log, count, spans, v->error);
    int status = walk ? read_all(v, walk, ret_gone) : -1;
    leat_log_walk_free(walk);
    return status;
}

int verify_walk(leat_verify *v, const int64_t *to)
{
    uint32_t count = v->config->layout->partition_count;
    leat_log_span *spans = leat_must_calloc(count, sizeof *spans);
    leat_record gone = {0};
    int status = 3;
    while (status == 3) { /* each time the log begins further on, and its end is fixed */
        for (uint32_t p = 0; p < count; p++)
            spans[p] = (leat_log_span){v->walked[p], v->spans[p].to < 0 ? -1 : to[p]};
        status = walk_spans(v, spans, &gone);
        if (status == 3 && pass_gap(v, &gone, spans[gone.partition].to) != 0)
            status = -1;
    }
    if (status == 0)
        status = flush_all(v);
    for (uint32_t p = 0; p < count; p++)
        if (spans[p].to > v->walked[p])
            v->walked[p] = spans[p].to;
    free(spans);
    return status;
}
