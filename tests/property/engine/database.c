/*
 * database.c - the tables of the progress protocol as arrays, changed in one step each: what a
 * transaction must not do is asserted where it would be written, not looked for afterwards.
 */
#include "database.h"

#include <string.h>

void database_init(database *db, log_partition *log, const uint32_t *shard_of,
                   uint32_t partition_count, uint32_t held_keys_max)
{
    memset(db, 0, sizeof *db);
    db->held_keys_max = held_keys_max;
    db->log = log;
    db->shard_of = shard_of;
    db->partition_count = partition_count;
    for (uint32_t i = 0; i < partition_count; i++) {
        db->partitions[i].low = -1;
        db->partitions[i].newest = (leat_engine_newest){-1, 0, -1};
        for (uint32_t j = 0; j < TEST_SUBPARTITIONS; j++)
            db->partitions[i].base_offsets[j] = -1;
    }
}

uint32_t database_index(const database *db, uint32_t partition, int64_t offset)
{
    const log_partition *log = &db->log[partition];
    for (uint32_t i = 0; i < log->count; i++) {
        if (log->records[i].offset == offset)
            return i;
    }
    LEAT_ASSERT(!"an offset that is in the log");
    return 0;
}

static bool same_claim(const leat_engine_claim *a, const leat_engine_claim *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static bool needs_met(const db_partition *partition, const int64_t *needs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool met = needs[i] <= partition->base_seq;
        for (uint32_t j = 0; j < partition->row_count && !met; j++)
            met = partition->rows[j].seq == needs[i];
        if (!met)
            return false;
    }
    return true;
}

static void fail(leat_engine_job_result *ret, leat_engine_outcome outcome, int32_t partition,
                 int32_t bad_record)
{
    ret->outcome = outcome;
    ret->partition = partition;
    ret->bad_record = bad_record;
}

log_record *database_log(const database *db, const db_batch_record *record)
{
    return &db->log[record->partition]
                .records[database_index(db, record->partition, record->offset)];
}

static bool poisoned(const database *db, const db_batch_record *records, uint32_t count,
                     int64_t catalog_read_us, leat_engine_job_result *ret)
{
    for (uint32_t i = 0; i < count; i++) {
        const log_record *record = database_log(db, &records[i]);
        if (record->poison != LEAT_ENGINE_APPLIED && !records[i].keep) {
            ret->catalog_read_us = record->poison_looks ? catalog_read_us : INT64_MAX;
            fail(ret, record->poison, -1, record->poison_known ? (int32_t)i : -1);
            ret->from_rows = true;
            return true;
        }
    }
    return false;
}

/* The heart of the check: the record was neither applied nor kept, and all before it of its
 * subpartition are. Nothing is applied while an earlier record of its key is kept. `unparks`: it
 * was parked, and is no longer. */
static void settle(database *db, const db_batch_record *record, const db_terms *terms, bool unparks)
{
    db_partition *partition = &db->partitions[record->partition];
    const log_partition *log = &db->log[record->partition];
    uint32_t at = database_index(db, record->partition, record->offset);
    bool keeps = terms->hold || record->keep;
    LEAT_ASSERT(!partition->applied[at] && !partition->kept[at] &&
                partition->parked[at] == unparks);
    LEAT_ASSERT(log->records[at].subpartition == record->subpartition);
    for (uint32_t i = 0; i < at; i++) {
        bool same = log->records[i].subpartition == record->subpartition;
        LEAT_ASSERT(!same || partition->applied[i] || partition->kept[i]);
        LEAT_ASSERT(keeps || !partition->kept[i] || log->records[i].key != log->records[at].key);
    }
    LEAT_ASSERT(!terms->dead || log->records[at].may_die);
    partition->applied[at] = !keeps;
    partition->kept[at] = keeps;
    partition->parked[at] = false;
    partition->dead[at] = terms->dead;
    db->ever_done[record->partition][at] = true;
}

/* ---- held keys ---- */

static uint32_t held_at(const db_partition *partition, uint64_t key)
{
    uint32_t at = 0;
    while (at < partition->held_count && partition->held[at].key < key)
        at++;
    return at;
}

static bool is_held(const db_partition *partition, uint64_t key)
{
    uint32_t at = held_at(partition, key);
    return at < partition->held_count && partition->held[at].key == key;
}

static void hold(database *db, const db_batch_record *record, int64_t now_us)
{
    db_partition *partition = &db->partitions[record->partition];
    const log_record *from = database_log(db, record);
    uint32_t at = held_at(partition, from->key);
    LEAT_ASSERT(partition->held_count < db->held_keys_max && partition->held_count < DB_KEYS);
    memmove(&partition->held[at + 1], &partition->held[at],
            (partition->held_count++ - at) * sizeof *partition->held);
    partition->held[at] = (db_held){from->key, now_us, from->poison == LEAT_ENGINE_BAD_DATA};
}

static void let_go(db_partition *partition, uint64_t key)
{
    uint32_t at = held_at(partition, key);
    LEAT_ASSERT(is_held(partition, key));
    memmove(&partition->held[at], &partition->held[at + 1],
            (--partition->held_count - at) * sizeof *partition->held);
}

/* Of the key, as indices in the log. */
static uint32_t kept_of(const database *db, uint32_t id, uint64_t key, uint32_t *ret)
{
    const log_partition *log = &db->log[id];
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->count; i++)
        if (db->partitions[id].kept[i] && log->records[i].key == key)
            ret[count++] = i;
    return count;
}

/* Are the keys held of records that are kept, and is that one not which is to be? */
static bool keys_stand(const database *db, const db_batch_record *records, uint32_t count,
                       const db_terms *terms, leat_engine_job_result *ret)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = database_log(db, &records[i])->key;
        LEAT_ASSERT((!terms->hold && !records[i].keep) || key != 0);
        if ((terms->hold || records[i].keep) &&
            is_held(&db->partitions[records[i].partition], key) == terms->hold) {
            fail(ret, LEAT_ENGINE_KEY_TURNED, (int32_t)records[i].partition, -1);
            return false;
        }
    }
    return true;
}

/* Does the batch get through? */
static bool may_settle(const database *db, const db_batch_record *records, uint32_t count,
                       const db_terms *terms, leat_engine_job_result *ret)
{
    LEAT_ASSERT((!terms->dead && !terms->hold) || (count == 1 && !records[0].keep));
    return keys_stand(db, records, count, terms, ret) &&
           (terms->dead || terms->hold ||
            !poisoned(db, records, count, terms->catalog_read_us, ret));
}

static void settle_all(database *db, const db_batch_record *records, uint32_t count,
                       const db_terms *terms, bool unparks)
{
    if (terms->hold)
        hold(db, &records[0], terms->now_us);
    for (uint32_t i = 0; i < count; i++)
        settle(db, &records[i], terms, unparks);
}

static void insert(db_partition *partition, const leat_engine_batch_part *part)
{
    LEAT_ASSERT(part->seq > partition->base_seq);
    for (uint32_t i = 0; i < partition->row_count; i++)
        LEAT_ASSERT(partition->rows[i].seq != part->seq);
    LEAT_ASSERT(partition->row_count < DB_ROWS && part->count <= DB_ROW_SUBS);
    db_row *row = &partition->rows[partition->row_count++];
    row->seq = part->seq;
    row->count = part->count;
    row->newest = part->newest;
    for (uint32_t i = 0; i < part->count; i++) {
        row->subpartitions[i] = part->subpartitions[i];
        row->offsets[i] = part->offsets[i];
    }
}

static bool may_advance(const database *db, const leat_engine_batch_part *part,
                        leat_engine_job_result *ret)
{
    const db_partition *partition = &db->partitions[part->partition];
    if (!same_claim(&partition->claim, &part->claim))
        fail(ret, LEAT_ENGINE_FENCED, (int32_t)part->partition, -1);
    else if (!needs_met(partition, part->needs, part->needs_count))
        fail(ret, LEAT_ENGINE_WENT_BACK, (int32_t)part->partition, -1);
    return ret->outcome == LEAT_ENGINE_APPLIED;
}

void database_batch(database *db, const leat_engine_batch_part *parts, uint32_t part_count,
                    const db_batch_record *records, uint32_t record_count, const db_terms *terms,
                    leat_engine_job_result *ret)
{
    fail(ret, LEAT_ENGINE_APPLIED, -1, -1);
    for (uint32_t i = 0; i < part_count; i++)
        if (!may_advance(db, &parts[i], ret))
            return;
    if (!may_settle(db, records, record_count, terms, ret))
        return;
    for (uint32_t i = 0; i < part_count; i++)
        insert(&db->partitions[parts[i].partition], &parts[i]);
    settle_all(db, records, record_count, terms, false);
    for (uint32_t i = 0; i < part_count; i++)
        database_check(db, parts[i].partition);
}

/* One that was kept is applied, or done with otherwise (`dead`); it was the first of its key. */
static void take_kept(database *db, uint32_t id, uint32_t at, bool dead)
{
    db_partition *partition = &db->partitions[id];
    const log_partition *log = &db->log[id];
    LEAT_ASSERT(partition->kept[at] && !partition->applied[at] && !partition->parked[at]);
    for (uint32_t i = 0; i < at; i++)
        LEAT_ASSERT(log->records[i].key != log->records[at].key || partition->applied[i]);
    partition->kept[at] = false;
    partition->applied[at] = true;
    partition->dead[at] = dead;
}

void database_retry(database *db, const leat_engine_batch_part *part, uint64_t key,
                    const db_batch_record *records, uint32_t record_count, const db_terms *terms,
                    leat_engine_job_result *ret)
{
    db_partition *partition = &db->partitions[part->partition];
    uint32_t kept[DB_RECORDS];
    fail(ret, LEAT_ENGINE_APPLIED, -1, -1);
    if (!may_advance(db, part, ret))
        return;
    uint32_t count = kept_of(db, part->partition, key, kept);
    bool stands = is_held(partition, key) && record_count <= count;
    for (uint32_t i = 0; i < record_count && stands; i++)
        stands = records[i].offset == db->log[part->partition].records[kept[i]].offset;
    if (!stands) {
        fail(ret, LEAT_ENGINE_KEY_TURNED, (int32_t)part->partition, -1);
        return;
    }
    LEAT_ASSERT(part->count == 0 && record_count > 0);
    if (!terms->is_look && poisoned(db, records, record_count, terms->catalog_read_us, ret))
        return;
    insert(partition, part);
    for (uint32_t i = 0; i < record_count; i++)
        take_kept(db, part->partition, kept[i], terms->is_look);
    ret->is_held = record_count < count;
    if (!ret->is_held)
        let_go(partition, key);
    database_check(db, part->partition);
}

db_person database_person(database *db, uint32_t id, leat_prng *prng, uint32_t most)
{
    db_partition *partition = &db->partitions[id];
    const log_partition *log = &db->log[id];
    db_person did = {false};
    uint32_t kept[DB_RECORDS];
    if (partition->held_count == 0)
        return did;
    uint64_t key = partition->held[leat_prng_below(prng, partition->held_count)].key;
    uint32_t count = kept_of(db, id, key, kept), done = 0;
    LEAT_ASSERT(count > 0);
    for (; done < count && done < most && log->records[kept[done]].poison == LEAT_ENGINE_APPLIED;
         done++)
        take_kept(db, id, kept[done], false);
    did.has_applied = done > 0;
    did.has_discarded = done == 0;
    if (did.has_discarded)
        take_kept(db, id, kept[done++], true);
    did.has_let_go = done == count;
    if (did.has_let_go)
        let_go(partition, key);
    database_check(db, id);
    return did;
}

uint32_t database_held(const database *db, uint32_t id, int64_t now_us, leat_engine_held *ret)
{
    const db_partition *partition = &db->partitions[id];
    for (uint32_t i = 0; i < partition->held_count; i++)
        ret[i] = (leat_engine_held){.key = partition->held[i].key,
                                    .subpartition = (uint16_t)((partition->held[i].key - 1) / 4),
                                    .since_ms = (now_us - partition->held[i].since_us) / 1000,
                                    .is_final = partition->held[i].is_final};
    return partition->held_count;
}

/* ---- parked records ---- */

static db_chunk *chunk_of(db_partition *partition, uint16_t subpartition,
                          const leat_engine_chunk_step *step)
{
    for (uint32_t i = 0; i < partition->chunk_count; i++) {
        db_chunk *chunk = &partition->chunks[i];
        if (chunk->subpartition == subpartition && chunk->first_offset == step->first_offset &&
            chunk->last_offset == step->last_offset && chunk->done == step->done)
            return chunk;
    }
    return NULL;
}

void database_unpark(database *db, const leat_engine_batch_part *part, uint16_t subpartition,
                     const leat_engine_chunk_step *steps, uint32_t step_count,
                     const db_batch_record *records, uint32_t record_count, const db_terms *terms,
                     leat_engine_job_result *ret)
{
    db_partition *partition = &db->partitions[part->partition];
    fail(ret, LEAT_ENGINE_APPLIED, -1, -1);
    if (!may_advance(db, part, ret))
        return;
    for (uint32_t i = 0; i < step_count; i++) {
        if (chunk_of(partition, subpartition, &steps[i]))
            continue;
        fail(ret, LEAT_ENGINE_CHUNK_GONE, (int32_t)part->partition, -1);
        return;
    }
    LEAT_ASSERT(part->count == 0);
    if (!may_settle(db, records, record_count, terms, ret))
        return;
    insert(partition, part);
    settle_all(db, records, record_count, terms, true);
    for (uint32_t i = 0; i < step_count; i++) {
        db_chunk *chunk = chunk_of(partition, subpartition, &steps[i]);
        chunk->done = steps[i].done_after;
        chunk->records = steps[i].records_after;
        LEAT_ASSERT((chunk->done == chunk->last_offset) == (chunk->records == 0));
        LEAT_ASSERT(chunk->records == 0 || i + 1 == step_count);
        if (chunk->records == 0)
            *chunk = partition->chunks[--partition->chunk_count];
    }
    database_check(db, part->partition);
}

static void park(database *db, const db_batch_record *record)
{
    db_partition *partition = &db->partitions[record->partition];
    const log_partition *log = &db->log[record->partition];
    uint32_t at = database_index(db, record->partition, record->offset);
    LEAT_ASSERT(!partition->applied[at] && !partition->parked[at] && !partition->kept[at]);
    LEAT_ASSERT(log->records[at].subpartition == record->subpartition);
    for (uint32_t i = 0; i < at; i++) {
        bool same = log->records[i].subpartition == record->subpartition;
        LEAT_ASSERT(!same || partition->applied[i] || partition->parked[i] || partition->kept[i]);
    }
    partition->parked[at] = true;
    db->ever_done[record->partition][at] = true;
}

void database_park(database *db, const leat_engine_batch_part *part,
                   const leat_engine_chunk_cut *cuts, uint32_t cut_count,
                   const db_batch_record *records, uint32_t record_count,
                   leat_engine_job_result *ret)
{
    db_partition *partition = &db->partitions[part->partition];
    fail(ret, LEAT_ENGINE_APPLIED, -1, -1);
    if (!may_advance(db, part, ret))
        return;
    for (uint32_t i = 0; i < cut_count; i++)
        for (uint32_t k = 0; k < partition->chunk_count; k++)
            if (partition->chunks[k].subpartition == cuts[i].subpartition &&
                partition->chunks[k].first_offset == records[cuts[i].first_record].offset) {
                fail(ret, LEAT_ENGINE_CHUNK_GONE, (int32_t)part->partition, -1);
                return;
            }
    insert(partition, part);
    for (uint32_t i = 0; i < record_count; i++) {
        park(db, &records[i]);
        ret->parked_bytes += database_log(db, &records[i])->bytes;
    }
    for (uint32_t i = 0; i < cut_count; i++) {
        const db_batch_record *first = &records[cuts[i].first_record];
        LEAT_ASSERT(partition->chunk_count < DB_CHUNKS);
        partition->chunks[partition->chunk_count++] =
            (db_chunk){.subpartition = cuts[i].subpartition,
                       .first_offset = first->offset,
                       .last_offset = first[cuts[i].record_count - 1].offset,
                       .done = first->offset - 1,
                       .records = cuts[i].record_count};
    }
    database_check(db, part->partition);
}

/* The chunk's records that are still parked; they were all written in offset order. */
static uint32_t records_of(const database *db, uint32_t id, const db_chunk *chunk, uint32_t *ret)
{
    const log_partition *log = &db->log[id];
    uint32_t count = 0;
    for (uint32_t i = 0; i < log->count; i++) {
        const log_record *record = &log->records[i];
        if (record->subpartition == chunk->subpartition && record->offset >= chunk->first_offset &&
            record->offset <= chunk->last_offset && record->offset > chunk->done)
            ret[count++] = i;
    }
    return count;
}

void database_load(const database *db, uint32_t id, const leat_engine_load *load,
                   leat_engine_chunk *ret_chunk, uint32_t *records, leat_engine_job_result *result)
{
    const db_partition *partition = &db->partitions[id];
    const db_chunk *found = NULL;
    fail(result, LEAT_ENGINE_APPLIED, -1, -1);
    if (load->key != 0) { /* proves nothing, and asks for nothing */
        uint32_t count = kept_of(db, id, load->key, records);
        result->loaded_count = count < load->most ? count : load->most;
        return;
    }
    if (!same_claim(&partition->claim, &load->claim)) {
        fail(result, LEAT_ENGINE_FENCED, (int32_t)id, -1);
        return;
    }
    for (uint32_t i = 0; i < partition->chunk_count; i++) {
        const db_chunk *chunk = &partition->chunks[i];
        if (chunk->subpartition == load->subpartition && chunk->first_offset > load->above &&
            (!found || chunk->first_offset < found->first_offset))
            found = chunk;
    }
    if (!found) {
        fail(result, LEAT_ENGINE_CHUNK_GONE, (int32_t)id, -1);
        return;
    }
    *ret_chunk = (leat_engine_chunk){.first_offset = found->first_offset,
                                     .last_offset = found->last_offset,
                                     .done = found->done,
                                     .records = found->records,
                                     .size = found->records};
    result->loaded_count = records_of(db, id, found, records);
}

uint32_t database_parked(const database *db, uint32_t id, leat_engine_parked *ret)
{
    const db_partition *partition = &db->partitions[id];
    uint32_t count = 0;
    for (uint16_t i = 0; i < TEST_SUBPARTITIONS; i++) {
        leat_engine_parked found = {.subpartition = i, .first_offset = INT64_MAX};
        for (uint32_t k = 0; k < partition->chunk_count; k++) {
            const db_chunk *chunk = &partition->chunks[k];
            if (chunk->subpartition != i)
                continue;
            found.chunks++;
            found.records += chunk->records;
            found.bytes += chunk->records;
            if (chunk->first_offset < found.first_offset) {
                found.first_offset = chunk->first_offset;
                found.done = chunk->done;
            }
            if (chunk->last_offset > found.last_offset)
                found.last_offset = chunk->last_offset;
        }
        if (found.chunks > 0)
            ret[count++] = found;
    }
    return count;
}

void database_check(const database *db, uint32_t id)
{
    const db_partition *partition = &db->partitions[id];
    const log_partition *log = &db->log[id];
    int64_t offsets[TEST_SUBPARTITIONS];
    for (uint32_t i = 0; i < TEST_SUBPARTITIONS; i++)
        offsets[i] = partition->base_offsets[i] > partition->low ? partition->base_offsets[i]
                                                                 : partition->low;
    for (uint32_t i = 0; i < partition->row_count; i++) {
        const db_row *row = &partition->rows[i];
        for (uint32_t k = 0; k < row->count; k++)
            if (row->offsets[k] > offsets[row->subpartitions[k]])
                offsets[row->subpartitions[k]] = row->offsets[k];
    }
    uint32_t parked = 0;
    for (uint32_t i = 0; i < log->count; i++) {
        bool done = partition->applied[i] || partition->parked[i] || partition->kept[i];
        LEAT_ASSERT(partition->applied[i] + partition->parked[i] + partition->kept[i] <= 1);
        LEAT_ASSERT(!partition->kept[i] || is_held(partition, log->records[i].key));
        LEAT_ASSERT(done == (log->records[i].offset <= offsets[log->records[i].subpartition]));
        parked += partition->parked[i];
    }
    for (uint32_t i = 0; i < partition->chunk_count; i++) {
        uint32_t records[DB_RECORDS];
        uint32_t count = records_of(db, id, &partition->chunks[i], records);
        LEAT_ASSERT(count == partition->chunks[i].records);
        for (uint32_t k = 0; k < count; k++)
            LEAT_ASSERT(partition->parked[records[k]]);
        parked -= count;
    }
    LEAT_ASSERT(parked == 0);
}

void database_claim(database *db, uint32_t id, leat_engine_claim claim, leat_engine_progress *ret)
{
    db_partition *partition = &db->partitions[id];
    partition->claim = claim;
    partition->epoch++;
    leat_engine_progress_begin(ret, claim, partition->epoch, partition->base_seq,
                               partition->base_offsets, partition->low, partition->newest);
    for (uint32_t i = partition->row_count; i > 0; i--) {
        const db_row *row = &partition->rows[i - 1];
        LEAT_ASSERT(leat_engine_progress_row(ret, row->seq, row->subpartitions, row->offsets,
                                             row->count, row->newest.at_ms,
                                             row->newest.epoch) == 0);
    }
}

/* By a base all up to it is applied: is that so? */
static void check_base(const database *db, const leat_engine_compaction *compaction)
{
    const log_partition *log = &db->log[compaction->partition];
    const db_partition *partition = &db->partitions[compaction->partition];
    for (uint32_t i = 0; i < log->count; i++) {
        const log_record *record = &log->records[i];
        bool covered = record->offset <= compaction->low ||
                       record->offset <= compaction->base_offsets[record->subpartition];
        bool done = partition->applied[i] || partition->parked[i] || partition->kept[i];
        LEAT_ASSERT(!covered || done);
        LEAT_ASSERT(!covered || record->offset <= compaction->newest.offset);
        if (record->offset == compaction->newest.offset)
            LEAT_ASSERT(done && record->at_ms == compaction->newest.at_ms &&
                        compaction->newest.epoch == 3);
    }
}

void database_compact(database *db, const leat_engine_compaction *compaction,
                      leat_engine_job_result *ret)
{
    fail(ret, LEAT_ENGINE_APPLIED, -1, -1);
    db_partition *partition = &db->partitions[compaction->partition];
    if (!same_claim(&partition->claim, &compaction->claim)) {
        fail(ret, LEAT_ENGINE_FENCED, (int32_t)compaction->partition, -1);
        return;
    }
    if (!needs_met(partition, compaction->needs, compaction->needs_count) ||
        partition->base_seq >= compaction->base_seq) {
        fail(ret, LEAT_ENGINE_WENT_BACK, (int32_t)compaction->partition, -1);
        return;
    }
    check_base(db, compaction);
    partition->base_seq = compaction->base_seq;
    partition->low = compaction->low;
    partition->newest = compaction->newest;
    memcpy(partition->base_offsets, compaction->base_offsets, sizeof partition->base_offsets);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < partition->row_count; i++) {
        if (partition->rows[i].seq > compaction->base_seq)
            partition->rows[kept++] = partition->rows[i];
    }
    partition->row_count = kept;
    database_check(db, compaction->partition);
}

void database_snapshot(database *db, uint32_t shard, leat_prng *prng)
{
    uint32_t count = db->snapshot_count[shard];
    uint32_t at = count < DB_SNAPSHOTS ? count : (uint32_t)leat_prng_below(prng, DB_SNAPSHOTS);
    for (uint32_t i = 0; i < db->partition_count; i++) {
        if (db->shard_of[i] == shard)
            db->snapshots[at][i] = db->partitions[i];
    }
    if (count < DB_SNAPSHOTS)
        db->snapshot_count[shard]++;
}

bool database_failover(database *db, uint32_t shard, leat_prng *prng)
{
    if (db->snapshot_count[shard] == 0)
        return false;
    uint32_t at = (uint32_t)leat_prng_below(prng, db->snapshot_count[shard]);
    for (uint32_t i = 0; i < db->partition_count; i++) {
        if (db->shard_of[i] == shard)
            db->partitions[i] = db->snapshots[at][i];
    }
    /* Later memories belong to a timeline that is lost. */
    db->snapshot_count[shard] = 0;
    return true;
}

bool database_has_all(const database *db, uint32_t partition, int64_t offset, bool ever)
{
    const log_partition *log = &db->log[partition];
    for (uint32_t i = 0; i < log->count; i++) {
        bool has = ever ? db->ever_done[partition][i] : db->partitions[partition].applied[i];
        if (log->records[i].offset <= offset && !has)
            return false;
    }
    return true;
}
