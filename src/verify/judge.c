/*
 * The moment at the end of a walk, shard by shard. With a snapshot open, the shard says how far
 * each subpartition has come; the log is read up to there, for the keys that were met; and then
 * what each key's writes say is complete, and as old as the rows. Nothing has to be looked at
 * again, whatever a worker does meanwhile.
 *
 * A row that is not as it should be is held against the writes that still wait, too: if it has them
 * already, then not the row is wrong but the progress.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/internal.h"

enum { AHEAD_MAX = 100, ENDS_MS = 20000 };

void verify_find(leat_verify *v, leat_verify_finding *finding, uint32_t shard)
{
    finding->shard = v->config->shards[shard].name;
    v->result->findings[finding->kind]++;
    v->config->on_finding(v->config->context, finding);
}

/* ---- progress ---- */

static uint32_t first_of(const leat_verify *v, uint32_t shard)
{
    return v->config->layout->shards[shard].first;
}

static uint32_t subpartitions(const leat_verify *v, uint32_t shard)
{
    return v->config->shards[shard].source.placement.subpartitions;
}

static void find_partition(leat_verify *v, uint32_t shard, leat_finding_kind kind,
                           uint32_t partition, const char *detail)
{
    leat_verify_finding finding = {
        .kind = kind, .partition = partition, .offset = -1, .columns = "", .detail = detail};
    if (v->is_first)
        verify_find(v, &finding, shard);
}

/* The greatest offset that a subpartition of it has reached. */
static int64_t furthest(const leat_verify *v, uint32_t shard, uint32_t partition)
{
    uint32_t count = subpartitions(v, shard);
    const int64_t *of = v->reached + (size_t)(partition - first_of(v, shard)) * count;
    int64_t ret = -1;
    for (uint32_t s = 0; s < count; s++)
        ret = of[s] > ret ? of[s] : ret;
    return ret;
}

static int read_reached(leat_verify *v, uint32_t shard)
{
    uint32_t partitions = v->config->layout->shards[shard].count, count = subpartitions(v, shard);
    free(v->reached);
    v->reached = leat_must_calloc((size_t)partitions * count, sizeof *v->reached);
    for (uint32_t i = 0; i < partitions; i++) {
        uint32_t partition = first_of(v, shard) + i;
        int64_t *to = v->reached + (size_t)i * count;
        for (uint32_t s = 0; s < count; s++)
            to[s] = -1;
        if (v->spans[partition].to < 0)
            continue;
        int got = leat_shard_audit_reached(v->shards[shard].audit, partition, to, v->error);
        if (got < 0)
            return -1;
        if (got > 0)
            find_partition(v, shard, LEAT_FINDING_NO_PROGRESS, partition,
                           "the shard has no row of it in its table of partitions");
    }
    return 0;
}

/* Has the shard come further than the log was read? */
static bool is_ahead_of_walk(const leat_verify *v, uint32_t shard)
{
    for (uint32_t i = 0; i < v->config->layout->shards[shard].count; i++) {
        uint32_t p = first_of(v, shard) + i;
        if (v->spans[p].to >= 0 && furthest(v, shard, p) >= v->walked[p])
            return true;
    }
    return false;
}

/* Up to where the log has to be read for this shard. */
static int find_ends(leat_verify *v, uint32_t shard, int64_t *to)
{
    uint32_t count = v->config->layout->partition_count;
    int64_t *offsets = leat_must_calloc(count, sizeof *offsets);
    leat_log_ahead *ends = leat_must_calloc(count, sizeof *ends);
    for (uint32_t p = 0; p < count; p++) {
        offsets[p] = -1;
        to[p] = v->walked[p];
    }
    int status = leat_log_read_ahead(v->config->log, count, offsets, ENDS_MS, ends, v->error);
    for (uint32_t i = 0; status == 0 && i < v->config->layout->shards[shard].count; i++) {
        uint32_t p = first_of(v, shard) + i;
        int64_t reached = v->spans[p].to < 0 ? -1 : furthest(v, shard, p);
        char detail[96];
        if (reached >= ends[p].end) {
            snprintf(detail, sizeof detail,
                     "it is at %" PRId64 ", and the log ends before %" PRId64, reached,
                     ends[p].end);
            find_partition(v, shard, LEAT_FINDING_BEYOND_END, p, detail);
            reached = ends[p].end - 1;
        }
        to[p] = reached + 1 > to[p] ? reached + 1 : to[p];
    }
    free(ends);
    free(offsets);
    return status;
}

/* In a partition of which nothing was to be read there may be nobody to read on for; progress that
 * is beyond the end is found all the same. */
static int read_on(leat_verify *v, uint32_t shard, bool has_keys)
{
    if (!is_ahead_of_walk(v, shard))
        return 0;
    int64_t *to = leat_must_calloc(v->config->layout->partition_count, sizeof *to);
    int status = find_ends(v, shard, to);
    if (status == 0 && has_keys) {
        v->is_late = true;
        status = verify_walk(v, to);
        v->is_late = false;
    }
    free(to);
    return status;
}

/* ---- what waited ---- */

/* The keys of a shard, for one loop after the other. */
static verify_key *list_keys(const leat_verify *v, uint32_t shard)
{
    verify_key *first = NULL;
    for (uint32_t b = 0; b < v->keys.bucket_count; b++)
        for (verify_key *key = v->keys.buckets[b]; key; key = key->next) {
            if (key->shard != shard)
                continue;
            key->next_of_shard = first;
            first = key;
        }
    return first;
}

static int ask_some(leat_verify *v, uint32_t shard, verify_record **records, uint32_t *count)
{
    int status = *count > 0 ? verify_ask(v, shard, records, *count) : 0;
    uint32_t per = subpartitions(v, shard);
    for (uint32_t i = 0; status == 0 && i < *count; i++) {
        verify_record *record = records[i];
        size_t at = (size_t)(record->partition - first_of(v, shard)) * per + record->subpartition;
        if (record->fate == LEAT_FATE_WAITING && record->offset <= v->reached[at])
            record->fate = LEAT_FATE_PARKED;
    }
    *count = 0;
    return status;
}

static int ask_again(leat_verify *v, uint32_t shard, const verify_key *first)
{
    verify_record *records[LEAT_AUDIT_WRITES_MAX];
    uint32_t count = 0;
    for (const verify_key *key = first; key; key = key->next_of_shard)
        for (verify_record *record = key->waiting; record; record = record->next) {
            records[count++] = record;
            if (count == LEAT_AUDIT_WRITES_MAX && ask_some(v, shard, records, &count) != 0)
                return -1;
        }
    return ask_some(v, shard, records, &count);
}

/* Follows what has been applied since. Those that no batch has reached stay, in their order. */
static int settle(leat_verify *v, verify_key *key)
{
    verify_record *first = key->waiting, *left = NULL, **end = &left;
    int status = 0;
    for (verify_record *record = first; record; record = record->next) {
        verify_count(v, record);
        if (record->fate == LEAT_FATE_SKIPPED)
            verify_key_skip(key);
        if (status == 0 && record->fate == LEAT_FATE_APPLIED)
            status = verify_key_follow(v, key, record);
    }
    key->waiting = NULL;
    while (first) {
        verify_record *next = first->next;
        first->next = NULL;
        if (first->fate == LEAT_FATE_WAITING) {
            *end = first;
            end = &first->next;
        } else {
            free(first);
        }
        first = next;
    }
    key->waiting = left;
    key->waiting_end = left ? end : &key->waiting;
    return status;
}

/* ---- rows ---- */

static uint64_t columns_of(const leat_verify *v, const leat_table *table)
{
    uint64_t ret = ~(uint64_t)0;
    for (uint32_t i = 0; i < v->config->ignored_count; i++) {
        const char *name = v->config->ignored[i], *dot = strrchr(name, '.');
        if (dot && ((size_t)(dot - name) != strlen(table->label) ||
                    strncmp(name, table->label, (size_t)(dot - name)) != 0))
            continue;
        int at = leat_table_column(table, leat_slice_of(dot ? dot + 1 : name));
        if (at >= 0)
            ret &= ~((uint64_t)1 << at);
    }
    return ret;
}

/* Operands are those of a route. */
static const leat_route *route_of(const verify_key *key)
{
    return key->state.operated_by ? key->state.operated_by : key->route;
}

typedef struct row_batch {
    uint32_t count;
    verify_key *keys[LEAT_AUDIT_ROWS_MAX];
    leat_key decoded[LEAT_AUDIT_ROWS_MAX];
    leat_audit_row rows[LEAT_AUDIT_ROWS_MAX];
    leat_audit_answer answers[LEAT_AUDIT_ROWS_MAX];
} row_batch;

static bool is_wrong(const leat_key_state *state, const leat_audit_answer *answer)
{
    return answer->differs != 0 || (state->row == LEAT_ROW_PRESENT && !answer->is_there) ||
           (state->row == LEAT_ROW_ABSENT && answer->is_there);
}

/* 1: with some of the writes that wait the row is as it should be. */
static int is_ahead(leat_verify *v, const verify_key *key, const leat_key *decoded)
{
    leat_key_state state;
    leat_audit_answer answer;
    int status = 0;
    if (!key->waiting)
        return 0;
    if (leat_key_state_copy(&key->state, &state) != 0)
        return leat_fail(v->error, "out of memory");
    uint32_t tries = 0;
    for (const verify_record *at = key->waiting; at && status == 0 && tries < AHEAD_MAX;
         at = at->next, tries++) {
        leat_audit_row row = {decoded->values, &state};
        leat_followed followed = leat_key_state_follow(v->follower, &state, at->route, at->op,
                                                       at->value, decoded->values);
        if (followed == LEAT_FOLLOWED_UNREADABLE)
            break;
        if (followed == LEAT_FOLLOWED_MEMORY)
            status = leat_fail(v->error, "out of memory");
        else if (leat_shard_audit_rows(v->shards[key->shard].audit, at->route,
                                       columns_of(v, at->route->table), &row, 1, &answer,
                                       v->error) != 0)
            status = -1;
        else
            status = !is_wrong(&state, &answer);
    }
    leat_key_state_fini(&state);
    return status;
}

static void name_columns(const leat_table *table, uint64_t mask, leat_buf *out)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (mask >> i & 1) {
            leat_buf_text(out, out->size > 0 ? ", " : "");
            leat_buf_text(out, table->columns[i].name);
        }
}

static int find_row(leat_verify *v, const verify_key *key, const leat_key *decoded,
                    const leat_audit_answer *answer)
{
    leat_buf columns = {0};
    char detail[96] = "";
    int ahead = is_ahead(v, key, decoded);
    if (ahead < 0)
        return -1;
    if (!ahead && key->last < 0) { /* nothing of it is applied: whose the row is, is not known */
        v->result->keys_waiting++;
        return 0;
    }
    if (ahead)
        snprintf(detail, sizeof detail,
                 "it has writes that are not applied by progress, from offset %" PRId64 " on",
                 key->waiting->offset);
    name_columns(key->route->table, answer->differs, &columns);
    const char *names = leat_buf_cstr(&columns);
    leat_verify_finding finding = {.kind = ahead              ? LEAT_FINDING_ROW_AHEAD
                                           : answer->differs  ? LEAT_FINDING_ROW_DIFFERS
                                           : answer->is_there ? LEAT_FINDING_ROW_THERE
                                                              : LEAT_FINDING_ROW_MISSING,
                                   .partition = key->partition,
                                   .offset = key->last,
                                   .table = key->route->table->label,
                                   .key = {key->key, key->size},
                                   .columns = names ? names : "",
                                   .detail = detail};
    verify_find(v, &finding, key->shard);
    leat_buf_free(&columns);
    return 0;
}

static int judge_row(leat_verify *v, const verify_key *key, const leat_key *decoded,
                     const leat_audit_answer *answer, uint64_t columns)
{
    const leat_key_state *state = &key->state;
    if (is_wrong(state, answer))
        return find_row(v, key, decoded, answer);
    if (key->last < 0) {
        v->result->keys_waiting++;
        return 0;
    }
    bool is_whole = !(state->unknown & columns) && !answer->undecided;
    if (is_whole && state->row != LEAT_ROW_UNKNOWN)
        v->result->keys_proved++;
    else if (state->known & columns || state->row != LEAT_ROW_UNKNOWN)
        v->result->keys_in_part++;
    else
        v->result->keys_undecided++;
    if (answer->is_there)
        v->result->columns +=
            (uint64_t)__builtin_popcountll(state->known & columns & ~answer->undecided);
    return 0;
}

static int judge_batch(leat_verify *v, uint32_t shard, const leat_route *route, row_batch *batch)
{
    uint64_t columns = columns_of(v, route->table);
    if (batch->count == 0)
        return 0;
    if (leat_shard_audit_rows(v->shards[shard].audit, route, columns, batch->rows, batch->count,
                              batch->answers, v->error) != 0)
        return -1;
    for (uint32_t i = 0; i < batch->count; i++)
        if (judge_row(v, batch->keys[i], &batch->decoded[i], &batch->answers[i], columns) != 0)
            return -1;
    batch->count = 0;
    return 0;
}

/* False: there is nothing to hold against a row. */
static bool is_comparable(leat_verify *v, const verify_key *key)
{
    if (key->doubt != VERIFY_SURE)
        v->result->keys_undecided++;
    else if (key->last < 0 && !key->waiting)
        v->result->keys_proved++; /* none of its writes was applied, and each is accounted for */
    else if (key->last < 0 && key->state.row != LEAT_ROW_ABSENT)
        v->result->keys_waiting++;
    else
        return true;
    return false;
}

static int judge_route(leat_verify *v, uint32_t shard, const leat_route *route,
                       const verify_key *first, row_batch *batch)
{
    batch->count = 0;
    for (const verify_key *key = first; key; key = key->next_of_shard) {
        uint32_t at = batch->count;
        if (route_of(key) != route || !is_comparable(v, key))
            continue;
        leat_error error;
        if (leat_key_decode(route, (leat_slice){key->key, key->size}, &batch->decoded[at],
                            &error) != 0) {
            v->result->keys_undecided++;
            continue;
        }
        batch->keys[at] = (verify_key *)(uintptr_t)key;
        batch->rows[at] = (leat_audit_row){batch->decoded[at].values, &key->state};
        if (++batch->count == LEAT_AUDIT_ROWS_MAX && judge_batch(v, shard, route, batch) != 0)
            return -1;
    }
    return judge_batch(v, shard, route, batch);
}

static int judge_rows(leat_verify *v, uint32_t shard, verify_key *first)
{
    const leat_routes *routes = v->config->shards[shard].routes;
    row_batch *batch = leat_must_calloc(1, sizeof *batch);
    int status = 0;
    for (verify_key *key = first; key && status == 0; key = key->next_of_shard)
        status = settle(v, key);
    for (uint32_t r = 0; r < routes->count && status == 0; r++)
        status = judge_route(v, shard, &routes->routes[r], first, batch);
    free(batch);
    return status;
}

/* ---- the shard ---- */

static int judge_shard(leat_verify *v, uint32_t shard)
{
    verify_key *first = list_keys(v, shard);
    for (const verify_key *key = first; key; key = key->next_of_shard)
        v->result->keys++;
    if (!first && !v->is_first)
        return 0;
    leat_shard_audit *audit = v->shards[shard].audit;
    int status = leat_shard_audit_begin(audit, v->error);
    if (status == 0)
        status = read_reached(v, shard);
    if (status == 0)
        status = read_on(v, shard, first != NULL);
    if (status == 0)
        status = ask_again(v, shard, first);
    if (status == 0)
        status = judge_rows(v, shard, first);
    leat_shard_audit_end(audit);
    return status == 0 ? 0 : leat_fail_prefix(v->error, "shard %s", v->config->shards[shard].name);
}

int verify_judge(leat_verify *v)
{
    for (uint32_t shard = 0; shard < v->config->shard_count; shard++)
        if (judge_shard(v, shard) != 0)
            return -1;
    return 0;
}
