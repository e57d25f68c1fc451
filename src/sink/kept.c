/*
 * kept.c - a kept record is a chunk with one record; what does not fit its row stays where it is,
 * because there is no other copy of it.
 */
#include "sink/kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/chunk.h"
#include "sink/sqlstate.h"

int leat_kept_read(const leat_held_work *work, int64_t offset, int codec, leat_slice bytes,
                   leat_item *ret, leat_error *error)
{
    leat_chunk_reader chunk;
    *ret = (leat_item){.route = NULL};
    if (leat_chunk_open(codec, bytes, &chunk, error) != 0)
        return leat_fail_prefix(error, "offset %lld", (long long)offset);
    ret->owned_record = chunk.raw;
    int status = 0;
    if (leat_chunk_next(&chunk, &ret->record, &ret->headers, error) != 1 ||
        chunk.taken != chunk.count || ret->record.offset != offset)
        status = leat_fail(error, "offset %lld: what is kept is not one record of it",
                           (long long)offset);
    ret->record.partition = work->key->partition;
    if (status == 0 && leat_item_decode(work->routes, work->placement, ret) != 0)
        status = leat_fail(error, "out of memory");
    if (status != 0)
        leat_item_clear(ret);
    return status;
}

bool leat_kept_is_refusal(leat_engine_outcome outcome)
{
    return outcome == LEAT_ENGINE_BAD_DATA || outcome == LEAT_ENGINE_NOT_YET ||
           outcome == LEAT_ENGINE_DRIFT || outcome == LEAT_ENGINE_RECORD_ERROR;
}

bool leat_kept_is_final(const char *sqlstate)
{
    leat_sql_error error = {.sqlstate = sqlstate, .severity = "ERROR"};
    return !sqlstate ||
           (*sqlstate && leat_sqlstate_outcome(&error, LEAT_SQL_ROWS) == LEAT_ENGINE_BAD_DATA);
}

/* The first record was refused, the others were kept behind it; or those before it are done with,
 * and it was not tried since. */
leat_engine_reason leat_kept_letter_reason(const leat_shard_held_key *key, int64_t offset)
{
    leat_engine_reason reason = {.sqlstate = ""};
    bool is_said = key->message[0] != '\0';
    bool is_refused = is_said && offset == key->first_offset;
    if (is_refused && key->sqlstate)
        snprintf(reason.sqlstate, sizeof reason.sqlstate, "%s", key->sqlstate);
    snprintf(reason.message, sizeof reason.message, "%s%s%s",
             is_refused ? "" : "its key was held and discarded", is_refused || !is_said ? "" : ": ",
             key->message);
    return reason;
}

uint16_t leat_kept_subpartition(const leat_placement *placement, leat_slice key)
{
    leat_slice some = {key.data ? key.data : "", key.size};
    return (uint16_t)leat_placement_subpartition(placement, some, leat_hash(some));
}

void leat_kept_tally_begin(leat_kept_tally *tally, const leat_placement *placement,
                           uint32_t partition_count, leat_shard_held_count *ret)
{
    tally->placement = placement;
    tally->partition_count = partition_count;
    tally->ret = ret;
    tally->partition = -1;
}

void leat_kept_tally_add(leat_kept_tally *tally, int64_t partition, leat_slice key,
                         uint64_t records, uint64_t bytes)
{
    if (partition < 0 || partition >= tally->partition_count)
        return;
    if (partition != tally->partition)
        memset(tally->bytes, 0, sizeof tally->bytes);
    tally->partition = partition;
    leat_shard_held_count *ret = &tally->ret[partition];
    uint16_t subpartition = leat_kept_subpartition(tally->placement, key);
    uint64_t sum = tally->bytes[subpartition] += bytes;
    ret->keys++;
    ret->records += records;
    ret->bytes += bytes;
    if (sum <= ret->most_bytes)
        return;
    ret->most_bytes = sum;
    ret->most = subpartition;
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t left = ((const leat_engine_held *)a)->key, right = ((const leat_engine_held *)b)->key;
    return left < right ? -1 : left > right;
}

void leat_kept_sort(leat_engine_held *held, uint32_t count)
{
    if (count > 1)
        qsort(held, count, sizeof *held, compare_keys);
}
