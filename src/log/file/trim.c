/*
 * trim.c - the committing thread deletes records that were applied (the readers' low waters) longer
 * than the margin ago. The age of a record does not show that: one that waited for days may have
 * been applied a moment ago, and a database that went back, by a crash or a restored copy, needs
 * the records since then again. So each partition's low water is set aside and counts as old when
 * the margin has passed; then the next one is set aside. Both are stored, so a restart does not
 * change them.
 */
#include "log/file/committer.h"

enum { TRIM_RECORDS = 1000 /* of one partition at a time */ };

/* Returns whether any of it changed. */
static bool grow_older(leat_local_aging *aging, int64_t low, int64_t now_ms, int64_t margin_ms)
{
    LEAT_ASSERT(margin_ms >= 0);
    bool is_settled = low <= aging->low && aging->low == aging->old_low;
    int64_t elapsed_ms = now_ms - aging->since_ms;
    if (is_settled || (elapsed_ms >= 0 && elapsed_ms < margin_ms))
        return false;
    if (elapsed_ms >= margin_ms) {
        aging->old_low = aging->low;
        aging->low = low > aging->low ? low : aging->low;
    } /* else the clock was set back: nobody knows how long ago it was */
    aging->since_ms = now_ms;
    return true;
}

static int set_part(leat_committer *c, uint32_t partition, int64_t first,
                    const leat_local_aging *aging)
{
    LEAT_ASSERT(partition < c->log->head.partition_count);
    sqlite3_bind_int64(c->set_part, 1, first);
    sqlite3_bind_int64(c->set_part, 2, aging->low);
    sqlite3_bind_int64(c->set_part, 3, aging->since_ms);
    sqlite3_bind_int64(c->set_part, 4, aging->old_low);
    sqlite3_bind_int64(c->set_part, 5, partition);
    return leat_committer_finish(c->set_part);
}

static int delete_below(leat_committer *c, uint32_t partition, int64_t first)
{
    LEAT_ASSERT(partition < c->log->head.partition_count);
    sqlite3_stmt **statement = &c->parts[partition].delete;
    int code = leat_committer_prepare(c, statement, "DELETE FROM leat_records_%u WHERE offset < ?",
                                      partition);
    if (code != SQLITE_OK)
        return code;
    sqlite3_bind_int64(*statement, 1, first);
    return leat_committer_finish(*statement);
}

static int store_part(leat_committer *c, uint32_t partition, int64_t first,
                      const leat_local_aging *aging)
{
    int code = leat_committer_begin(c);
    if (code == SQLITE_OK)
        code = delete_below(c, partition, first);
    if (code == SQLITE_OK)
        code = set_part(c, partition, first, aging);
    if (code == SQLITE_OK)
        code = leat_committer_commit(c);
    leat_committer_roll_back(c);
    return code;
}

/* Returns whether there may be more to delete at once. */
static bool trim_part(leat_committer *c, uint32_t partition)
{
    leat_local_part *part = &c->log->parts[partition];
    LEAT_ASSERT(atomic_load(&part->low) < atomic_load(&part->next));
    leat_local_aging aging = c->aging[partition];
    int64_t first = atomic_load(&part->first);
    int64_t old = aging.old_low + 1; /* the first that is not old */
    int64_t cut = old > first + TRIM_RECORDS ? first + TRIM_RECORDS : old > first ? old : first;
    bool aged = grow_older(&aging, atomic_load(&part->low), leat_wall_ms(),
                           atomic_load(&c->log->margin_ms));
    if (!aged && cut == first)
        return false;
    int code = store_part(c, partition, cut, &aging);
    if (code == SQLITE_OK) {
        c->aging[partition] = aging;
        atomic_store(&part->first, cut);
    } else if (leat_local_passes(code)) {
        leat_committer_log_passing(c, "old records cannot be deleted", code);
    } else {
        leat_committer_give_up(c, "old records cannot be deleted", code);
    }
    return code == SQLITE_OK && aging.old_low >= cut;
}

/* One partition at a time, so that records to commit do not wait; when all had their turn, it
 * rests. */
void leat_committer_trim(leat_committer *c)
{
    LEAT_ASSERT(c->trim_turn < c->log->head.partition_count);
    uint32_t count = c->log->head.partition_count;
    bool more = trim_part(c, c->trim_turn);
    if (!more)
        c->trim_turn = (c->trim_turn + 1) % count;
    if (!more && c->trim_turn == 0)
        c->trim_us = leat_mono_us() + LEAT_COMMITTER_TRIM_US;
}
